"""The model that forecasts windows: each taken off its level, read by a strategy, and brought back."""

import keras
from keras import ops

from keras_seq.checks import natural_number, positive_integer, share
from keras_seq.layers import ReversibleNorm
from keras_seq.layers.linear import over_steps
from keras_seq.models.outputs import output_of
from keras_seq.models.stack import each_times
from keras_seq.models.strategies import Direct, Recursive, Segment

NORMALIZATIONS = {
    "last": {"center": "last", "scale": False, "affine": False},
    "reversible": {"center": "mean", "scale": True, "affine": True},
}
SEGMENT = 24


@keras.saving.register_keras_serializable("keras_seq")
class ForecastModel(keras.Model):
    """Forecasts of windows; `ks.models.forecasting_model` makes and compiles it, and tells what its arguments mean.

    Call arguments:
        inputs: a dict as `ks.data.window_dataset` makes it: `past` `(B, T, C)`; `past_mask` `(B, T, C)` with `missing`;
            `past_covariates` `(B, T, P)`; `known` `(B, T + F, K)`. Others are not read. Where `past` is all, it may
            come by itself.
        training: whether dropout acts.

    Returns:
        Forecasts in the unit of `past`: `(B, F, C)`; `(B, F, C, Q)` of Q quantiles; `(B, F, C, 2)`, mean and standard
        deviation, of a normal distribution.

    Raises:
        ValueError: for inputs that are missing or have other shapes.
    """

    def __init__(
        self,
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
        forecaster=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.autocast = False  # in half precision the values would lose what `norm` leaves of them
        self.lookback, self.horizon = positive_integer("lookback", lookback), positive_integer("horizon", horizon)
        self.channels = positive_integer("channels", channels)
        self.past_covariates = natural_number("past_covariates", past_covariates)
        self.known, self.missing = natural_number("known", known), missing
        object.__setattr__(self, "encoder", encoder)  # past Keras's tracking: it is copied
        self.units, self.depth = positive_integer("units", units), positive_integer("depth", depth)
        self.bidirectional, self.num_heads, self.hidden_units = bidirectional, num_heads, hidden_units
        self.segment = min(SEGMENT, lookback, horizon) if segment is None else positive_integer("segment", segment)
        self.mix_channels, self.normalization, self.output_kind = mix_channels, normalization, output_of(outputs)
        self.outputs = outputs
        self.dropout, self.recurrent_dropout = share("dropout", dropout), share("recurrent_dropout", recurrent_dropout)
        if normalization is not None and normalization not in NORMALIZATIONS:
            raise ValueError(
                f"Argument `normalization` must be None or one of {', '.join(NORMALIZATIONS)}, got {normalization!r}."
            )
        self.norm = None
        if normalization is not None:
            self.norm = ReversibleNorm(**NORMALIZATIONS[normalization], dtype=self.dtype_policy, name="norm")
        self.highway, self.strategy = highway, strategy
        if highway and strategy == "recursive":
            raise ValueError("Argument `highway` goes with strategy 'direct' or 'segment', got 'recursive'.")
        self.route = self._made_route()
        # XLA compiles anew for each shape, which on TensorFlow costs more than it saves.
        self.supports_jit = keras.backend.backend() != "tensorflow"
        self._build()
        self.built = True
        self.carry(forecaster)

    def carry(self, forecaster):
        """Keep the state of the `Forecaster` that the model belongs to: it is saved with it."""
        object.__setattr__(self, "forecaster", forecaster)  # past Keras's tracking, which would wrap it

    def _made_route(self):
        """The layer from look-back to horizon."""
        names = ("encoder", "units", "depth", "bidirectional", "num_heads", "hidden_units", "dropout")
        encoder = {name: getattr(self, name) for name in (*names, "recurrent_dropout")}
        if self.bidirectional and self.strategy != "direct":
            raise ValueError(
                f"Argument `bidirectional` goes with strategy 'direct', got {self.strategy!r}: its cells go on from "
                "where the window ends."
            )
        kind = self.output_kind
        values = self.channels if self.mix_channels else 1
        how = (self.horizon, values * kind.size, encoder, self.dropout)
        parts = {"dtype": self.dtype_policy, "name": "route"}
        if self.strategy == "direct":
            return Direct(*how, **parts)
        if self.strategy == "segment":
            turns = 1 if self.mix_channels else self.channels
            return Segment(*how, segment=self.segment, channels=turns, **parts)
        if self.strategy == "recursive":

            def centre(y):
                return kind.centre(ops.reshape(y, (-1, values, kind.size)))

            return Recursive(*how, values=values, flags=values * self.missing, centre=centre, **parts)
        raise ValueError(f"Argument `strategy` must be one of 'direct', 'segment', 'recursive', got {self.strategy!r}.")

    def _build(self):
        """All weights."""
        values = self.channels if self.mix_channels else 1
        features = values * (1 + self.missing) + self.past_covariates + self.known
        if self.norm is not None:
            self.norm.build((None, self.lookback, self.channels))
        ahead = (None, self.horizon, self.known) if self.known else None
        self.route.build((None, self.lookback, features), ahead)
        if self.highway:
            self.kernel = self.add_weight((self.lookback, self.horizon), "zeros", name="highway")

    @property
    def sizes(self):
        """Of its windows, as `batches.sizes` of a dataset has them."""
        names = ("lookback", "horizon", "channels", "past_covariates", "known", "missing")
        return {name: getattr(self, name) for name in names}

    @property
    def input_shapes(self):
        """The shape of each input, without the batch."""
        shapes = {"past": (self.lookback, self.channels)}
        if self.missing:
            shapes["past_mask"] = (self.lookback, self.channels)
        if self.past_covariates:
            shapes["past_covariates"] = (self.lookback, self.past_covariates)
        if self.known:
            shapes["known"] = (self.lookback + self.horizon, self.known)
        return shapes

    def call(self, inputs, training=False):
        inputs = self._checked(inputs)
        past = inputs["past"]
        mask = inputs["past_mask"] > 0 if self.missing else None
        z, statistics = (past, None) if self.norm is None else self.norm(past, mask=mask)
        features = [z] if mask is None else [z, ops.cast(mask, z.dtype)]
        rows = ops.shape(past)[0]
        turns = 1 if self.mix_channels else self.channels
        if turns > 1:  # a row for each channel: (B, T, C) -> (B C, T, 1)
            features = [ops.reshape(ops.swapaxes(x, 1, 2), (-1, self.lookback, 1)) for x in features]
        if self.past_covariates:
            features.append(each_times(inputs["past_covariates"], turns))
        ahead = None
        if self.known:
            known = each_times(inputs["known"], turns)
            features.append(known[:, : self.lookback])
            ahead = ops.cast(known[:, self.lookback :], self.compute_dtype)
        look = ops.concatenate([ops.cast(x, self.compute_dtype) for x in features], axis=-1)
        y = self.route(look, ahead, training=training)  # (B, F, C size) or (B C, F, size)
        if turns > 1:
            y = ops.swapaxes(ops.reshape(y, (rows, self.channels, self.horizon, -1)), 1, 2)
        y = ops.reshape(y, (rows, self.horizon, self.channels, self.output_kind.size))
        if self.highway:  # the first number of each value moves the others: a mean, or the lowest quantile
            along = over_steps(ops.cast(z, self.compute_dtype), ops.cast(self.kernel, self.compute_dtype))
            y = ops.concatenate([y[..., :1] + ops.expand_dims(along, -1), y[..., 1:]], axis=-1)
        return self.output_kind.forecast(y, self.norm, statistics)

    def _checked(self, inputs):
        """The inputs as a dict, or an error for what is missing or has another shape."""
        shapes = self.input_shapes
        given = inputs if isinstance(inputs, dict) else {"past": inputs}
        for name, shape in shapes.items():
            got = tuple(given[name].shape)[1:] if name in given else None
            if got != shape:
                came = "none" if got is None else f"shape (B, {', '.join(map(str, got))})"
                raise ValueError(
                    f"Model {self.name!r} needs the input `{name}` of shape (B, {shape[0]}, {shape[1]}), got {came}: "
                    "make the model from the `sizes` of the windows, **dataset.batches.sizes."
                )
        return {name: ops.convert_to_tensor(given[name]) for name in shapes}

    def export(self, filepath, format="tf_saved_model", verbose=False, **kwargs):
        """Write a graph that forecasts without this package.

        The model of a `ks.models.Forecaster` takes and gives values as they are in frames; then the endpoint
        `forecast` of a SavedModel (its `serving_default`) has the inputs

        - `past` `(B, T, C)`: the targets up to now, NaN where missing (forecasts are NaN, then, of a model that was
          trained without missing values);
        - `past_covariates` `(B, T, P)` and `known` `(B, T + F, K)`, where there are such columns;
        - `time` `(B, T + F)`: with calendar features, the stamps of all these steps, int64, in microseconds since the
          beginning of 1970, in local time;
        - `series` `(B,)`: where series have ids and are scaled, the id; one that is not known is scaled like all
          together;

        and the outputs `forecast`, and for each level of, say, 80 %, `lower_80` and `upper_80`: `(B, F, C)`.

        Any other model, and any other format, takes the inputs of `call` and gives what it returns.

        Raises:
            ValueError: for a SavedModel on another backend than TensorFlow.
        """
        if self.forecaster is not None and format == "tf_saved_model":
            from keras_seq.models.forecast_serving import write_serving

            return write_serving(self, filepath, verbose)
        spec = {
            name: keras.InputSpec("float32", (None, *shape), name=name) for name, shape in self.input_shapes.items()
        }
        kwargs.setdefault("input_signature", [spec])
        return super().export(filepath, format=format, verbose=verbose, **kwargs)

    def get_config(self):
        names = """lookback horizon channels past_covariates known missing strategy units depth bidirectional num_heads
            hidden_units segment mix_channels highway normalization outputs dropout recurrent_dropout
            forecaster""".split()
        encoder = self.encoder if isinstance(self.encoder, str) else keras.saving.serialize_keras_object(self.encoder)
        config = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **config, "encoder": encoder}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        if not isinstance(config["encoder"], str):
            config["encoder"] = keras.saving.deserialize_keras_object(config["encoder"], custom_objects=custom_objects)
        return cls(**config)
