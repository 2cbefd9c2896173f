"""`forecasting_model`: from windows of series to the steps that follow."""

from keras_seq.models.forecast_model import ForecastModel
from keras_seq.optimizers import adam


def forecasting_model(
    lookback,
    horizon,
    channels=1,
    past_covariates=0,
    known=0,
    missing=False,
    strategy="segment",
    encoder="gru",
    units=128,
    depth=1,
    bidirectional=False,
    num_heads=None,
    hidden_units=None,
    segment=None,
    mix_channels=False,
    highway=False,
    normalization="last",
    outputs="mse",
    dropout=0.1,
    recurrent_dropout=0.0,
    weight_decay=0.0,
    learning_rate=1e-3,
    clipnorm=1.0,
):
    """A compiled model that forecasts the horizon of windows, such as those of `ks.data.window_dataset`.

    The first six arguments are the sizes of the windows; `**dataset.batches.sizes` has them.

    Args:
        lookback, horizon: steps `T` seen and `F` to come.
        channels: number `C` of targets.
        past_covariates, known: numbers `P` and `K` of covariates, known up to now only and known in advance.
        missing: whether values may be missing: then there is an input `past_mask`.
        strategy: how the horizon comes about (`keras_seq.models.strategies` has the equations):
            `"segment"`, by segments of some steps (SegRNN), the fastest and on most series the best;
            `"direct"`, all steps at once, from what the encoder says in the end;
            `"recursive"`, step by step, each forecast being read for the next.
        encoder: `"simple_rnn"`, `"lstm"`, `"gru"`, `"clockwork"` (`units` a multiple of 4), `"transformer"`, a cell, or
            a layer `(B, T, D)` to `(B, T, H)` (or to `(B, H)`, with `strategy="direct"`).
        units: size of the encoder, in each direction.
        depth: layers of the encoder.
        bidirectional: whether it reads both ways; with `strategy="direct"`.
        num_heads, hidden_units: of the transformer's attention and feed-forward part; None for 4, and `4 * units`.
        segment: steps of a segment; None for 24, or what is left of it in a shorter look-back or horizon. A season, or
            a part of one, is a good choice.
        mix_channels: whether the channels are read together, as one sequence; else each by itself, all by the same
            weights.
        highway: whether a linear map of each channel's own look-back is added to the forecast (the autoregressive part
            of LSTNet, Lai et al., 2017, arXiv 1703.07015). It copies and averages what a state of some units cannot
            hold: for long, regular seasons. Not with `strategy="recursive"`.
        normalization: what is taken off each window and given back to the forecast: `"last"`, the last value;
            `"reversible"`, mean and deviation (RevIN); None.
        outputs: what is said of each value, and by which loss that is learned: `"mse"`, `"mae"` or `"huber"` for a
            point; a list of levels, such as `[0.1, 0.5, 0.9]`, for quantiles, which cannot cross; `"gaussian"` for the
            mean and the deviation of a normal distribution.
        dropout: share dropped before the head, between layers, and inside of a transformer.
        recurrent_dropout: of an encoder given by name, as in `sentiment_model`.
        weight_decay: of `ks.optimizers.AdamW`, which leaves biases alone.
        learning_rate: of Adam, a number or a `keras.optimizers.schedules.LearningRateSchedule`.
        clipnorm: the norm to which the gradient of each weight is clipped, None for no clipping; or a dict that clips
            otherwise, such as `{"global_clipnorm": 1.0}` or `{"clipvalue": 0.5}`: see `ks.optimizers.clipping`.

    Returns:
        A `ForecastModel`, compiled with Adam, the loss of its `outputs` and metrics that count no missing values.

    Raises:
        ValueError: for arguments that cannot be, or do not go together.

    Example:

    >>> train = ks.data.window_dataset(ks.data.load(hours=500), 48, 24, target="y", scale="series", end=0.8)
    >>> model = ks.models.forecasting_model(**train.batches.sizes, units=8)
    >>> history = model.fit(train, verbose=0)
    >>> model.predict(train, verbose=0).shape
    (329, 24, 1)
    """
    model = ForecastModel(
        lookback,
        horizon,
        channels,
        past_covariates,
        known,
        missing,
        strategy,
        encoder,
        units,
        depth,
        bidirectional,
        num_heads,
        hidden_units,
        segment,
        mix_channels,
        highway,
        normalization,
        outputs,
        dropout,
        recurrent_dropout,
        name="forecasting",
    )
    kind = model.output_kind
    model.compile(adam(learning_rate, weight_decay, clipnorm=clipnorm), kind.loss(), weighted_metrics=kind.metrics())
    return model
