# make demo and make test are all a newcomer needs: both set up .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OLDEST := tensorflow==2.20.0 keras==3.13.0 pandas==2.2.2 numpy==2.0.2 typer==0.20.0 rich==13.0.0 \
	scikit-learn==1.5.0 pyarrow==17.0.0 hypothesis==6.112.0 pytest==8.0.0 pytest-xdist==3.6.0

export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test test-oldest lint format clean

demo: $(VENV)/.demo
	$(BIN)/keras-seq train sentiment --force --out saved_models/reviews --units 32 --embedding-dim 32
	$(BIN)/python saved_models/serve.py saved_models/reviews \
		"A quiet, funny film." "The soup was not cold at all." "I expected a wonderful book, but it was dull."

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2
	KERAS_BACKEND=jax $(BIN)/python -m pytest -n 2 tests/attention tests/backend tests/cells tests/decoding tests/kernels \
		tests/layers tests/memory tests/transformer tests/data/test_streams.py tests/data/test_pair_dataset.py \
		tests/test_losses.py tests/test_token_losses.py tests/test_bits.py tests/test_bleu.py tests/test_metrics.py tests/test_optimizers.py \
		tests/test_forecast_losses.py tests/test_forecast_metrics.py \
		tests/models/test_averaging.py tests/models/test_encoder_decoder.py tests/models/test_network_parts.py \
		tests/models/test_seq2seq_model.py tests/models/test_translate.py tests/models/test_strategies.py \
		tests/models/test_forecasting_model.py

test-oldest:
	$(MAKE) test VENV=.venv-oldest PINS='$(strip $(OLDEST))'

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# A stamp a set of extras; installed anew when setup.cfg changes.
$(VENV)/.demo: setup.cfg pyproject.toml
	$(PYTHON) -c "import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v < (3, 14) else f'keras_seq needs Python 3.11 to 3.13, {sys.executable} is {v[0]}.{v[1]}: call make with PYTHON=python3.12, say')"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[cli]" $(PINS)
	touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(BIN)/python -m pip install --quiet --editable ".[dev]" $(PINS)
	touch $@

clean:
	rm -rf $(VENV) .venv-oldest build *.egg-info .pytest_cache .ruff_cache
