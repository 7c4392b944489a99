# One image for every role on AWS (docs/image.md). The command chooses the role: webserver, daemon, run, catch-up.
# The tests run on this Python.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim-bookworm AS build
# With FFMPEG=1 the image holds an ffmpeg of 173 MB, which ENCODE=needed works with.
ARG FFMPEG=0
COPY requirements/aws.lock requirements/local.lock /src/requirements/
# A package without a wheel fails here, because nothing could compile it. The UI's source maps, a tenth of the size,
# only serve its authors. flit_core builds the package, and is kept out of the final image.
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --require-hashes --only-binary :all: \
        -r /src/requirements/aws.lock \
    && if [ "$FFMPEG" = 1 ]; then \
        sed -n '/^imageio-ffmpeg==/,/[^\\]$/p' /src/requirements/local.lock > /src/requirements/ffmpeg.lock \
        && pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --require-hashes --only-binary :all: \
            -r /src/requirements/ffmpeg.lock; fi \
    && find /opt/venv -name '*.map' -delete \
    && mkdir /opt/build \
    && mv /opt/venv/lib/python*/site-packages/flit_core* /opt/build/
COPY pyproject.toml README.md /src/
COPY ncaa_assets /src/ncaa_assets
RUN PYTHONPATH=/opt/build pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --no-build-isolation \
        --prefix /opt/package /src

FROM python:${PYTHON_VERSION}-slim-bookworm
LABEL org.opencontainers.image.title="ncaa-assets" \
      org.opencontainers.image.version="0.1.0"
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin dagster
# The packages are one layer, which only changes with the lock. The project is another, which is small.
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/package /opt/venv
WORKDIR /opt/dagster
# Two homes: `local` for a container by itself, `ecs` for tasks, which set DAGSTER_HOME to it.
COPY ncaa_assets/instance/local.yaml local/dagster.yaml
COPY ncaa_assets/instance/ecs.yaml ecs/dagster.yaml
COPY ncaa_assets/instance/ecs_workspace.yaml ecs/workspace.yaml
# A volume that is mounted on `data` takes its owner from here.
RUN mkdir data && chown -R dagster:dagster /opt/dagster
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NCAA_ASSETS_IMAGE=1 \
    NCAA_DEPLOYMENT=aws \
    DAGSTER_HOME=/opt/dagster/local
USER 10001:10001
# There is no ENTRYPOINT, because the run launcher passes a whole command.
CMD ["ncaa-assets", "backup"]
