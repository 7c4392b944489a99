# One image for every role on AWS, chosen by its command: webserver, daemon, run, catch-up. docs/image.md.
# The Python that the tests run on.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim-bookworm AS build
COPY requirements/aws.lock /src/requirements/
# What has no wheel fails here, since nothing could compile it. The UI's source maps, a tenth of it all, are for its
# authors. flit_core, which builds the package, is set aside.
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --require-hashes --only-binary :all: \
        -r /src/requirements/aws.lock \
    && find /opt/venv -name '*.map' -delete \
    && mkdir /opt/build \
    && mv /opt/venv/lib/python*/site-packages/flit_core* /opt/build/
COPY pyproject.toml README.md /src/
COPY ncaa_assets /src/ncaa_assets
RUN PYTHONPATH=/opt/build pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --no-build-isolation \
        --prefix /opt/package /src

FROM python:${PYTHON_VERSION}-slim-bookworm
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin dagster
# The packages are one layer, which changes with the lock alone; the project is another, which is small.
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/package /opt/venv
WORKDIR /opt/dagster
# Two homes: `local` for a container that is alone, `ecs` for tasks, which set DAGSTER_HOME to it.
COPY ncaa_assets/instance/local.yaml local/dagster.yaml
COPY ncaa_assets/instance/ecs.yaml ecs/dagster.yaml
COPY ncaa_assets/instance/ecs_workspace.yaml ecs/workspace.yaml
RUN chown -R dagster:dagster /opt/dagster
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NCAA_ASSETS_IMAGE=1 \
    NCAA_DEPLOYMENT=aws \
    DAGSTER_HOME=/opt/dagster/local
USER 10001:10001
# No ENTRYPOINT: the run launcher gives a whole command.
CMD ["ncaa-assets", "backup"]
