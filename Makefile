# make demo and make test are all a newcomer needs: both set up .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OLDEST := tensorflow==2.20.0 keras==3.13.0 pandas==2.2.2 numpy==2.0.2 typer==0.20.0 rich==13.0.0 \
	scikit-learn==1.5.0 pyarrow==17.0.0 hypothesis==6.112.0 pytest==8.0.0 pytest-xdist==3.6.0

# Tests of what is written for both backends.
JAX_TESTS := attention backend cells decoding kernels layers memory transformer \
	data/test_pair_dataset.py data/test_streams.py \
	diagnostics/test_arrays.py diagnostics/test_gates.py diagnostics/test_gradient_flow.py diagnostics/test_jacobians.py \
	diagnostics/test_no_matplotlib.py diagnostics/test_saliency.py diagnostics/test_structure.py \
	models/test_averaging.py models/test_encoder_decoder.py models/test_forecasting_model.py models/test_language_model.py \
	models/test_memory_model.py models/test_network_parts.py models/test_seq2seq_model.py models/test_strategies.py models/test_translate.py \
	test_bits.py test_bleu.py test_broken_gradients.py test_forecast_losses.py test_forecast_metrics.py \
	test_gradient_monitor.py test_initializers.py test_losses.py test_metrics.py test_optimizers.py test_schedules.py \
	test_teacher_forcing.py test_token_losses.py

# Whole files go to a process: it trains what their tests share once, and compiles on JAX what they have in common once.
TWO := -n 2 --dist loadfile

export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo notebooks test test-oldest lint format clean

demo: $(VENV)/.demo
	$(BIN)/keras-seq train sentiment --force --out saved_models/reviews --units 32 --embedding-dim 32
	$(BIN)/python saved_models/serve.py saved_models/reviews \
		"A quiet, funny film." "The soup was not cold at all." "I expected a wonderful book, but it was dull."

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(TWO)
	KERAS_BACKEND=jax $(BIN)/python -m pytest $(TWO) $(addprefix tests/,$(JAX_TESTS))

test-oldest:
	$(MAKE) test VENV=.venv-oldest PINS='$(strip $(OLDEST))'

notebooks: $(VENV)/.dev
	$(BIN)/python notebooks/run.py

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
