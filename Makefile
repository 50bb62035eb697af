# Two commands matter: `make demo` and `make test`. Both set up whatever they need first.
PY := .venv/bin/python
# The lab and the tests make namespaces, which takes root. Root leaves no caches here: the owner of the checkout
# could not remove them.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo env PYTHONDONTWRITEBYTECODE=1 \
	PYTEST_ADDOPTS=-pno:cacheprovider HYPOTHESIS_STORAGE_DIRECTORY=/root/.cache/hypothesis)
LINTED_SH := inventory/locum_inventory/gate/gate.sh inventory/locum_inventory/gate/gate_mirror.sh inventory/locum_inventory/gate/gate_tree.sh inventory/locum_inventory/enrolment/guard.sh inventory/locum_inventory/enrolment/guard.init \
	inventory/locum_inventory/enrolment/install_guard.sh inventory/locum_inventory/enrolment/install.sh tools/setup.sh tools/pythons.sh

.PHONY: help setup lint unit integration simulation unit-pythons docs e2e test demo lab bench bench-outage bench-mirror bench-page bench-dripped campaign sim clean

help:            ## this list
	@grep -hE '^[a-z0-9-]+: .*##' $(MAKEFILE_LIST) | sed 's/: .*##/ -/'
setup:           ## Debian packages and the virtual environment (asks, unless root or YES=1)
	@tools/setup.sh
lint: setup      ## ruff, mypy, import-linter, shellcheck, promtool, amtool
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	shellcheck $(LINTED_SH)
	promtool check rules alert_rules/*.rules.yml
	promtool test rules alert_rules/tests/*.yml
	promtool check config --syntax-only alert_rules/prometheus.yml
	amtool check-config alert_rules/alertmanager.yml
unit: setup      ## the tests that start few programs or none
	$(AS_ROOT) $(PY) -m pytest -m 'not e2e and not integration and not simulation' -n 3
integration: setup ## the tests that start real programs, hundreds of times: sshd, rsync, the gate, promtool, locum's own
	$(AS_ROOT) $(PY) -m pytest -m integration -n 3
simulation: setup ## the tests that run the actuator in a simulated world, from fixed seeds
	$(AS_ROOT) $(PY) -m pytest -m simulation -n 3
unit-pythons: setup ## the tests that need no lab on 3.12, 3.13 and 3.14 where they are found, and with the lowest declared versions
	AS_ROOT="$(AS_ROOT)" tools/pythons.sh
e2e: setup       ## the tests that drive the lab (root)
	$(AS_ROOT) $(PY) -m pytest -m e2e -n 3 --dist loadfile
docs: setup      ## the documents as a site, in site/; a link or an anchor that leads nowhere is an error
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict
test: lint docs unit integration simulation unit-pythons e2e ## everything
demo: setup      ## locum keeps a web site alive on two hosts: killed, hung, crashed
	$(AS_ROOT) $(PY) -m lab.demo $(if $(PICTURE),--picture $(PICTURE))
lab: setup       ## the lab, to play with
	$(AS_ROOT) $(PY) -m lab
bench: bench-outage bench-mirror bench-page bench-dripped
bench-outage: setup ## seconds without service: killed, hung, crashed, moved by plan, 7 runs each
	$(AS_ROOT) $(PY) -m bench.outage
bench-mirror: setup ## the mirror's time and memory beside plain rsync, 100,000 files of 1 GB
	$(AS_ROOT) $(PY) -m bench.mirror
bench-page: setup ## whether 50 browsers that watch slow a takeover, and how long the page takes to answer
	$(AS_ROOT) $(PY) -m bench.page
bench-dripped: setup ## whether a local user without rights who holds slow connections everywhere slows a takeover
	$(AS_ROOT) $(PY) -m bench.dripped
campaign: setup  ## 1,000 faults drawn by 20 new seeds, brought upon locum; what it promises must hold
	$(AS_ROOT) $(PY) -m bench.campaign --profile refuse --profile three --profile fence --faults 17 --labs 2
FAULTS ?= 100000
sim: setup       ## the actuator as it ships in a simulated world: 100,000 faults drawn by new seeds, in virtual time
	$(PY) -m sim --faults $(FAULTS)
clean:
	$(AS_ROOT) rm -rf .python-3.13 .python-3.13.new
	rm -rf .venv .venv-* .setup .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist site
