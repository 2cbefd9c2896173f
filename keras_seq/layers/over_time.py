"""A cell over time, in the way that `kernels.resolve` chooses."""

import weakref

from keras import ops, tree

from keras_seq import kernels
from keras_seq.backend.loop import loop, zero_where_masked
from keras_seq.cells.base import Cell, dropped
from keras_seq.layers.stacked import StackedRNNCells, asks_for, cells_within, has_parts, in_dtype_of, on_seam

_logged = weakref.WeakKeyDictionary()  # what each layer has told already


class ChoosesImplementation:
    """What a layer says of the way that it runs its cell."""

    def implementation_for(self, batch_size=None, steps=None, training=False, masked=False):
        """How a call of this form runs: "loop", "hoisted loop", "kernel", "compiled kernel" or "cudnn".

        Args:
            batch_size, steps: `B` and `T`, None where they are not known before the graph runs.
            training: whether the call trains.
            masked: whether there is a mask.

        Raises:
            ValueError: if the layer asks for a way that it cannot run in; the message says why.
        """
        needed = "`unroll=True`" if self.unroll else None
        return _choice(self, on_seam(self.cell, None), batch_size, steps, training, masked, needed)


def implementation_of(layer, cell, batch, steps, training, masked=False, only_loop=None):
    """The way to run the cell of a layer, as `implementation_for` says it. It is logged once for each layer.

    `cell` is the layer's cell, on the seam of ours; `only_loop` is what is asked for that needs the loop, in words, or
    None.
    """
    chosen = _choice(layer, cell, batch, steps, training, masked, only_loop)
    told = _logged.setdefault(layer, set())
    if chosen not in told:
        told.add(chosen)
        kernels.log.info("layer %s: %s (B=%s, T=%s, training=%s)", layer.name, chosen, batch, steps, bool(training))
    return chosen


def _choice(layer, cell, batch, steps, training, masked, only_loop):
    """A stack runs as kernels if each of its cells does, else in one loop."""
    if steps == 0:
        return "loop"  # which is defined for no steps
    cells = cell.cells if isinstance(cell, StackedRNNCells) else [cell]
    use_cudnn = getattr(layer, "use_cudnn", None)
    asked = {getattr(one, "implementation", None) for one in cells_within(cell)} & {"kernel", "cudnn"}
    asked = {True: asked | {"cudnn"}, False: asked - {"cudnn"}}.get(use_cudnn, asked)  # it wins
    if "cudnn" in asked and len(cells) > 1:
        only_loop = only_loop or "a stack"
    if not all(isinstance(one, Cell) and has_parts(one) for one in cells):
        only_loop = only_loop or "a cell with a `call` that is not of this package"
    if only_loop and asked:
        raise ValueError(
            f"Layer {layer.name!r} is to run by {' and '.join(sorted(asked))}, and cannot: {only_loop} needs the loop. "
            "Use `implementation='auto'` or 'loop', and no `use_cudnn=True`."
        )
    if only_loop:
        return "loop"
    how = {"masked": masked, "use_cudnn": use_cudnn, "forced": "kernel" in asked}
    ways = {kernels.resolve(one, batch, steps, training, **how) for one in cells}
    chosen = ways.pop() if len(ways) == 1 else "loop"
    return "loop" if len(cells) > 1 and chosen == "hoisted loop" else chosen


def asks_for_the_loop(layer, sequences, context, reset_mask, perturbation, return_trace):
    """What of a call needs the loop over the cell's own step, in words; None if nothing does."""
    asked = {
        "`memory`": context,
        "`reset_mask`": reset_mask is not None,
        "`perturbation`": perturbation is not None,
        "`return_trace`": return_trace,
        "`unroll=True`": layer.unroll,
        "a nest of inputs": tree.is_nested(sequences),
    }
    return next((words for words, is_asked in asked.items() if is_asked), None)


def over_time(implementation, cell, inputs, states, constants, training, mask, go_backwards, anew=False, **how):
    """`(output, states)` of a cell over `inputs` `(B, T, D)` by a hoisted loop, a kernel or cuDNN.

    `anew` says that `states` are those that a sequence starts from; `how` are `return_sequences` and
    `zero_output_for_mask`, as in `backend.loop.loop`.
    """
    if implementation == "hoisted loop":
        inputs = inputs if mask is None else zero_where_masked(inputs, mask)
        projected = cell.project(inputs)
        return loop(
            lambda x, states: cell.step(x, states, constants),
            projected,
            states,
            mask=mask,
            go_backwards=go_backwards,
            **how,
        )
    if implementation == "cudnn":
        try:
            return kernels.run_cudnn(cell, inputs, states, mask=mask, go_backwards=go_backwards, **how)
        except NotImplementedError as error:  # how Keras says that the device of this call has no cuDNN
            raise ValueError(
                "cuDNN cannot run here, though this machine has a GPU: give the layer `use_cudnn=False`."
            ) from error
    way = {"compiled": implementation == "compiled kernel", "by_hand": bool(training), "mask": mask, "anew": anew}
    if not isinstance(cell, StackedRNNCells):
        return _run(cell, inputs, states, constants, go_backwards=go_backwards, **way, **how)
    # A cell of a stack reads nothing of those above it, so each may read the whole sequence by itself.
    if go_backwards:
        inputs, way["mask"] = ops.flip(inputs, axis=1), None if mask is None else ops.flip(mask, axis=1)
    new_states, last = [], len(states) - 1
    for index, (one, own, (drop, prepared)) in enumerate(zip(cell.cells, states, constants, strict=True)):
        if index:
            inputs = dropped(in_dtype_of(one, inputs), None if drop is None else ops.expand_dims(drop, 1))
        inputs, new = _run(one, inputs, own, prepared, **way, **(how if index == last else {}))
        new_states.append(new)
    return inputs, new_states


def _run(cell, inputs, states, constants, anew, **how):
    told = {"anew": anew} if asks_for(cell.sequence_kernel, "anew") else {}
    return kernels.run(cell.sequence_kernel(**told), inputs, states, cell.input_weights(), constants, **how)
