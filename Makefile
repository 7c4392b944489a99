# The commands of README.md and docs/operations.md. `make backup` needs make and Python 3.11 or newer. It uses uv if it
# is installed.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin

# A misspelt DAY would back up yesterday without a word.
$(foreach name,Day day Date DATE date,$(if $(findstring command,$(origin $(name))),\
	$(error write DAY=$(or $($(name)),2025-03-09) instead of $(name)=$($(name)))))
$(foreach goal,$(filter 1% 2% today yesterday,$(MAKECMDGOALS)),$(error write DAY=$(goal) instead of $(goal)))
$(foreach name,FROM TO,$(if $(findstring command,$(origin $(name))),\
	$(error a range of days is $(RUN)/ncaa-assets backup --from 2025-03-01 --to 2025-03-09)))

# The command, from whatever place the folder was moved to: its first line names the Python of the place where it was made.
ncaa_assets = $(RUN)/ncaa-assets $(1) || { code=$$?; case $$code in 126|127) \
	echo "This folder was moved, or its Python is gone: run \`rm -rf $(VENV)\`, then the same command again." >&2;; \
	esac; exit $$code; }

.PHONY: backup watch ui install test lint scan rehearsal bench lock screenshots wheel clean

backup: $(VENV)/.local-ready
	@$(call ncaa_assets,backup $(if $(DAY),--date "$(DAY)"))

# The page of the newest day that has a video, or of DAY.
watch: $(VENV)/.local-ready
	@$(call ncaa_assets,gallery --date "$(or $(DAY),newest)")

ui: $(VENV)/.local-ready
	@$(call ncaa_assets,ui $(if $(PORT),--port "$(PORT)"))

# What `make backup` sets up, and extras beside it: make install EXTRAS=aws,pages
comma := ,
EXTRAS_ASKED := $(subst $(comma), ,$(EXTRAS))
install: $(VENV)/.local-ready $(EXTRAS_ASKED:%=$(VENV)/.%-ready)

# Several processes take a file at a time, the long ones first (conftest.py). They keep compiled code, because hundreds of
# processes start here.
test: $(VENV)/.dev-ready
	PYTHONDONTWRITEBYTECODE= $(RUN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.dev-ready
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports --no-logo
	$(RUN)/zizmor --offline --quiet --no-progress .github/workflows

# Checkov looks in terraform/ for what is open, unencrypted or unlogged, without policies from the net. It pins its own
# dependencies, so it has an environment of its own.
scan: .venv-checkov/.ready
	.venv-checkov/bin/checkov -d terraform --framework terraform --compact --quiet --skip-download

.venv-checkov/.ready:
	$(PYTHON) -m venv .venv-checkov
	.venv-checkov/bin/pip install -q --disable-pip-version-check 'checkov>=3.2,<4'
	@touch $@

# The whole deployment on this machine. Needs Terraform; where NCAA_BUILD_IMAGE names a tool (.ci/run sets it), days run in
# the image's files.
rehearsal: $(VENV)/.dev-ready
	PYTHONDONTWRITEBYTECODE= $(RUN)/python -m rehearsal

bench: $(VENV)/.dev-ready
	$(RUN)/python -m bench

# The pictures of the documents and the README's recording; needs Chromium (Debian: apt-get install chromium).
screenshots: $(VENV)/.dev-ready
	$(RUN)/python docs/screenshots.py
	$(RUN)/python docs/recording.py

# dist/ncaa_assets-VERSION-py3-none-any.whl, which installs without a clone.
wheel: $(VENV)/.dev-ready
	$(RUN)/python -m flit_core.wheel

# Locks with hashes for all platforms and Pythons, without addresses of an index. Needs uv.
COMPILE := uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
	--custom-compile-command "make lock" pyproject.toml --group build
lock:
	$(COMPILE) --extra local -o requirements/local.lock
	$(COMPILE) --extra aws -o requirements/aws.lock
	$(COMPILE) --extra s3 -o requirements/s3.lock
	$(COMPILE) --extra pages -o requirements/pages.lock
	$(COMPILE) --extra analysis -o requirements/analysis.lock
	$(COMPILE) --extra local --extra aws --extra s3 --extra pages --extra analysis --group dev -o requirements/dev.lock

$(VENV)/.%-ready: requirements/%.lock pyproject.toml
	@$(call install,$<)
	@touch $@

# Each extra has a lock; where there is none, its name is told.
requirements/%.lock:
	@echo "There is no extra '$*'. EXTRAS takes aws, s3, pages and analysis, with commas between them." >&2; exit 2

.NOTPARALLEL:

# The development packages include the local ones.
$(VENV)/.dev-ready: requirements/dev.lock pyproject.toml
	@$(call install,requirements/dev.lock)
	@touch $@ $(VENV)/.local-ready

# Installs the packages from the lock by hash, then the project itself from this folder. What is not imported is not
# compiled, and the UI's source maps, which only serve its authors, go: a tenth of the room. yt-dlp is compiled, because
# the process that imports it, anew for each page, may not keep what it compiles: half of a page's time.
define install
set -e; \
$(PYTHON) -c 'import sys; sys.exit("ncaa-assets needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 …") if sys.version_info < (3, 11) else 0'; \
echo "Setting up $(VENV) from $(1) (once) …"; \
if command -v uv >/dev/null 2>&1; then \
	test -x $(RUN)/python || uv venv -q --python $(PYTHON) $(VENV); \
	uv pip install -q --python $(RUN)/python --no-deps --require-hashes -r $(1); \
	uv pip install -q --python $(RUN)/python --no-deps --no-build-isolation -e .; \
else \
	test -x $(RUN)/pip || $(PYTHON) -m venv $(VENV); \
	$(RUN)/pip install -q --disable-pip-version-check --no-compile --no-deps --require-hashes -r $(1); \
	$(RUN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .; \
fi; \
find $(VENV)/lib -path '*/dagster_webserver/webapp/*' -name '*.map' -delete; \
find $(VENV)/lib -name yt_dlp -exec $(RUN)/python -m compileall -q '{}' ';' -prune
endef

clean:
	rm -rf $(VENV) .venv-checkov .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
