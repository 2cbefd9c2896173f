"""Ways from a look-back to its horizon. Each is a layer `(look, ahead) -> y`:

    look   (N, T, A)    features of the steps seen: values, then whatever is known of them, covariates known ahead last
    ahead  (N, F, K)    covariates known ahead, of the steps to come
    y      (N, F, O)    numbers for each step to come

Direct, with the encoder's last output `h` (the head is linear in it where nothing is known ahead):

    y = W h + b                                     y[f] = W relu(V[f] h + d[f] + U ahead[f] + c) + b

Segment (Lin et al., 2023, "SegRNN", arXiv 2308.11200): steps are read and written `w` at a time. With the segments
`s[1] .. s[S]`, and a query for each of the M segments to come, made of its place and its channel:

    state = encoder(relu(E s[1] + e), .., relu(E s[S] + e))
    y[m]  = W cell(query[m] + U ahead[m], state) + b             all of them from the same state, at once

An encoder that is no cell reads the queries behind the segments, and y[m] comes from what it says there.

Recursive: forecasts are read like values. A cell goes on from the encoder's states,

    h[f], state = cell([f / F, ahead[f], y[f-1]], state),   y[f] = W h[f] + b

and an encoder that is no cell reads, for each step, the last T steps anew.
"""

import keras
from keras import ops, tree

from keras_seq.cells.base import Cell, dropped
from keras_seq.layers import RNN, StackedRNNCells
from keras_seq.layers.reversible_norm import last_kept
from keras_seq.layers.stacked import call_cell, output_size, release
from keras_seq.models.decoders import cells_like
from keras_seq.models.stack import Stack, each_times, runs_a_cell


class Strategy(keras.layers.Layer):
    """What they have in common.

    Args:
        horizon: number `F` of steps to come.
        outputs: how many numbers `O` there are for each.
        encoder: a dict, the arguments of `Stack`.
        dropout: share dropped of what the head reads.
    """

    def __init__(self, horizon, outputs, encoder, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.horizon, self.outputs, self.encoder = horizon, outputs, encoder
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def dense(self, units, name, activation=None):
        return keras.layers.Dense(units, activation, name=name, dtype=self.dtype_policy)

    def stack(self, **how):
        return Stack(**self.encoder, **how, name="encoder", dtype=self.dtype_policy)


class Direct(Strategy):
    """All steps to come at once, from what the encoder says in the end."""

    def build(self, look_shape, ahead_shape):
        units = self.encoder["units"]
        self.reader = self.stack()
        self.reader.build(look_shape)
        self.mix = None
        if ahead_shape is None:
            self.head = self.dense(self.horizon * self.outputs, "head")
            self.head.build((None, self.reader.size))
        else:
            self.spread, self.mix = self.dense(self.horizon * units, "spread"), self.dense(units, "mix")
            self.head = self.dense(self.outputs, "head")
            self.spread.build((None, self.reader.size))
            self.mix.build(ahead_shape)
            self.head.build((None, self.horizon, units))
        self.built = True

    def call(self, look, ahead=None, training=False):
        h, _ = self.reader(look, training=training)
        h = self.drop(h, training=training)
        if self.mix is None:
            return ops.reshape(self.head(h), (-1, self.horizon, self.outputs))
        spread = ops.reshape(self.spread(h), (-1, self.horizon, self.encoder["units"]))
        return self.head(ops.relu(spread + self.mix(ahead)))


class Segment(Strategy):
    """Segments in, segments out.

    Args:
        segment: steps `w` of a segment. Where it does not divide `T`, the first segment is filled up with zeros.
        channels: how many channels take turns in the rows of `look` (each has a part of the query), 1 for none.
    """

    def __init__(self, *args, segment, channels=1, **kwargs):
        super().__init__(*args, **kwargs)
        self.segment, self.channels = segment, channels
        self.count = -(-self.horizon // segment)  # M

    def build(self, look_shape, ahead_shape):
        units, features = self.encoder["units"], look_shape[-1]
        self.before = -look_shape[1] % self.segment
        segments = (look_shape[1] + self.before) // self.segment
        self.entry = self.dense(units, "entry", "relu")
        self.entry.build((None, None, self.segment * features))
        self.by_cell = runs_a_cell(self.encoder["encoder"])
        self.reader = self.stack(return_sequences=not self.by_cell)
        if any(getattr(layer, "go_backwards", False) for layer in self.reader.parts):
            raise ValueError(
                "Argument `encoder` reads backwards, so that it has not seen the look-back where the horizon begins: "
                "give a layer with go_backwards=False, or strategy='direct'."
            )
        self.reader.build((None, segments if self.by_cell else segments + self.count, units))
        of_channel = units // 2 if self.channels > 1 else 0
        self.places = self.add_weight((self.count, units - of_channel), "random_normal", name="places")
        self.of_channels = self.add_weight((self.channels, of_channel), "random_normal", name="channels")
        self.mix = None
        if ahead_shape is not None:
            self.mix = self.dense(units, "mix")
            self.mix.build((None, self.count, self.segment * ahead_shape[-1]))
        self.head = self.dense(self.segment * self.outputs, "head")
        self.head.build((None, None, self.reader.size))
        self.built = True

    def call(self, look, ahead=None, training=False):
        x = ops.pad(look, [[0, 0], [self.before, 0], [0, 0]])
        x = ops.reshape(x, (-1, x.shape[1] // self.segment, self.segment * x.shape[2]))  # (N, S, w A)
        x = self.entry(x)
        queries = self._queries(ops.shape(look)[0])  # (N, M, units)
        if self.mix is not None:
            behind = self.count * self.segment - self.horizon
            ahead = ops.pad(ahead, [[0, 0], [0, behind], [0, 0]])
            queries = queries + self.mix(ops.reshape(ahead, (-1, self.count, self.segment * ahead.shape[2])))
        if self.by_cell:
            h = self._decoded(queries, self.reader(x, training=training)[1], training)
        else:
            h = self.reader(ops.concatenate([x, queries], axis=1), training=training)[0][:, -self.count :]
        y = self.head(self.drop(h, training=training))  # (N, M, w O)
        return ops.reshape(y, (-1, self.count * self.segment, self.outputs))[:, : self.horizon]

    def _queries(self, rows):
        places, channels = (ops.cast(w, self.compute_dtype) for w in (self.places, self.of_channels))
        places = ops.broadcast_to(places, (self.channels, *places.shape))
        channels = ops.repeat(ops.expand_dims(channels, 1), self.count, axis=1)
        queries = ops.concatenate([places, channels], axis=-1)  # (C, M, units)
        return ops.tile(queries, (rows // self.channels, 1, 1))

    def _decoded(self, queries, states, training):
        """What the cells say to each query from the states, `(N, M, H)`."""
        x = ops.reshape(queries, (-1, queries.shape[-1]))
        for level, (layer, state) in enumerate(zip(self.reader.parts, states, strict=True)):
            x = self.reader.drops[level - 1](x, training=training) if level else x
            state = tree.map_structure(lambda s: each_times(s, self.count), state)
            x, _ = call_cell(layer.cell, x, state, training)
            release(layer.cell)
        return ops.reshape(x, (-1, self.count, x.shape[-1]))


class Recursive(Strategy):
    """Step by step: each forecast is read for the next.

    Args:
        values: how many of the features are values, which forecasts take the place of; they come first.
        flags: how many come next, that say which values are there.
        centre: from raw numbers `(N, O)` to the values `(N, values)` that are read.
    """

    def __init__(self, *args, values, flags, centre, **kwargs):
        super().__init__(*args, **kwargs)
        self.values, self.flags, self.centre = values, flags, centre

    def build(self, look_shape, ahead_shape):
        of_step = 1 if ahead_shape is None else 1 + ahead_shape[-1]
        self.head = self.dense(self.outputs, "head")
        how = {"dtype": self.dtype_policy, "name": "step"}
        self.by_cell = runs_a_cell(self.encoder["encoder"])
        self.reader = self.stack()
        self.reader.build(look_shape)
        if self.by_cell:
            kind, units, depth = (self.encoder[name] for name in ("encoder", "units", "depth"))
            shares = self.encoder["dropout"], self.encoder["recurrent_dropout"]
            cells = cells_like(kind, units, depth, *shares, False, self.dtype_policy)
            cell = FeedbackCell(StackedRNNCells(cells, dtype=self.dtype_policy), self.drop, self.head, self, **how)
        else:
            known = 0 if ahead_shape is None else ahead_shape[-1]
            cell = WindowCell(self.reader, look_shape, known, self.flags, self.head, self, **how)
        self.steps = RNN(cell, return_sequences=True, dtype=self.dtype_policy, name="steps")
        self.steps.build((None, self.horizon, of_step))
        self.built = True

    def call(self, look, ahead=None, training=False):
        rows = ops.shape(look)[0]
        place = ops.reshape(ops.arange(1, self.horizon + 1, dtype=self.compute_dtype) / self.horizon, (1, -1, 1))
        place = ops.broadcast_to(place, (rows, self.horizon, 1))
        steps = place if ahead is None else ops.concatenate([place, ahead], axis=-1)
        if self.by_cell:
            _, states = self.reader(look, training=training)
            values, flags = look[..., : self.values], look[..., self.values : self.values + self.flags]
            start = [states, last_kept(values, flags > 0 if self.flags else None)[:, 0]]
        else:
            start = [self.steps.cell.first_window(look, ahead)]
            steps = ops.concatenate([steps[:, 1:], steps[:, -1:]], axis=1)  # what is known one step on
        return self.steps(steps, initial_state=start, training=training)


class _Feedback(Cell):
    """A cell whose head says a forecast at each step."""

    def __init__(self, head, strategy, **kwargs):
        super().__init__(**kwargs)
        self.head = head
        self.values, self.centre, self.output_size = strategy.values, strategy.centre, strategy.outputs

    def project(self, inputs):
        return inputs


class FeedbackCell(_Feedback):
    """Reads what is known of a step beside the forecast before: states are those of the cell, and that forecast."""

    def __init__(self, cell, drop, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.cell, self.drop = cell, drop
        self.state_size = [cell.state_size, self.values]

    def build(self, input_shape):
        self.width = input_shape[-1] + self.values
        self.cell.build_cells((None, self.width))
        self.head.build((None, output_size(self.cell)))
        self.built = True

    def get_initial_state(self, batch_size=None):
        return [self.cell.get_initial_state(batch_size), ops.zeros((batch_size, self.values), self.compute_dtype)]

    def prepare(self, states, training=False):
        """Masks of what the cell reads and of what the head reads, one for all steps, and the cell's constants."""
        rows = ops.shape(states[1])[0]
        of_inputs = self.cell.input_mask((rows, self.width), self.compute_dtype, training)
        of_outputs = ops.ones((rows, output_size(self.cell)), self.compute_dtype)
        return of_inputs, self.drop(of_outputs, training=training), self.cell.prepare(states[0], training)

    def step(self, projected, states, constants):
        (of_inputs, of_outputs, constants), (state, last) = constants, states
        x = dropped(ops.concatenate([projected, last], axis=-1), of_inputs)
        h, state = self.cell.step(self.cell.project(x), state, constants)
        y = self.head(h * of_outputs)
        return y, [state, self.centre(y)]


class WindowCell(_Feedback):
    """Reads the whole window at each step: it is the state. Inside of the loop nothing is dropped.

    Known covariates stand one step before their own in the window, so that the last row holds those of the step that
    comes next.
    """

    def __init__(self, reader, look_shape, known, flags, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.reader, self.known, self.flags = reader, known, flags
        self.state_size = [tuple(look_shape[1:])]

    def build(self, input_shape):
        self.head.build((None, self.reader.size))
        self.built = True

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, *self.state_size[0]), self.compute_dtype)]

    def first_window(self, look, ahead):
        if not self.known:
            return look
        rest, known = look[..., : -self.known], look[..., -self.known :]
        return ops.concatenate([rest, ops.concatenate([known[:, 1:], ahead[:, :1]], axis=1)], axis=-1)

    def prepare(self, states, training=False):
        return None

    def step(self, projected, states, constants):
        window = states[0]
        y = self.head(self.reader(window, training=False)[0])
        value = self.centre(y)
        # Behind the values: that they are there; what is known up to now only, which is no more; what is known ahead.
        unknown = window.shape[-1] - self.values - self.flags - self.known
        row = [value, ops.ones_like(value[:, : self.flags]), ops.zeros_like(window[:, 0, :unknown]), projected[:, 1:]]
        window = ops.concatenate([window[:, 1:], ops.expand_dims(ops.concatenate(row, axis=-1), 1)], axis=1)
        return y, [window]
