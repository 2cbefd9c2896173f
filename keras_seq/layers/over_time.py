"""A cell over time, in the way that `kernels.resolve` chooses."""

from keras import ops, tree

from keras_seq import kernels
from keras_seq.backend.loop import loop, zero_where_masked
from keras_seq.cells.base import Cell, dropped
from keras_seq.layers.stacked import StackedRNNCells, in_dtype_of

_logged = set()


def implementation_of(layer, cell, batch, steps, training, masked=False, only_loop=None):
    """The name of the way to run the cell of a layer: see `kernels.resolve`. It is logged once for each layer.

    Args:
        layer: the layer, for messages.
        cell: its cell, on the seam of ours. A stack runs as kernels if each of its cells does, else in one loop.
        batch, steps: `B` and `T`, or None.
        training: whether the pass trains.
        masked: whether there is a mask.
        only_loop: what is asked for that needs the loop, in words, or None.
    """
    cells = cell.cells if isinstance(cell, StackedRNNCells) else [cell]
    asked = {getattr(one, "implementation", None) for one in cells} - {"auto", "loop"}
    if getattr(layer, "use_cudnn", None) is True or (len(cells) > 1 and "cudnn" in asked):
        asked.add("cudnn")
        only_loop = only_loop or ("a stack" if len(cells) > 1 else None)
    foreign = not all(isinstance(one, Cell) for one in cells)
    if only_loop or foreign:
        if asked & {"kernel", "cudnn"}:
            way = "a kernel" if "kernel" in asked else "cuDNN"
            raise ValueError(
                f"Layer {layer.name!r} is to run by {way}, and cannot: "
                f"{only_loop or 'a cell that is not of this package'} needs the loop. Use `implementation='auto'` or "
                "'loop', and no `use_cudnn=True`."
            )
        chosen = "loop"
    else:
        how = {"masked": masked, "use_cudnn": getattr(layer, "use_cudnn", None), "forced": "kernel" in asked}
        ways = {kernels.resolve(one, batch, steps, training, **how) for one in cells}
        chosen = ways.pop() if len(ways) == 1 else "loop"
        if len(cells) > 1 and chosen == "hoisted loop":
            chosen = "loop"
    if (layer.name, chosen) not in _logged:
        _logged.add((layer.name, chosen))
        kernels.log.info("layer %s: %s (B=%s, T=%s, training=%s)", layer.name, chosen, batch, steps, bool(training))
    return chosen


def asks_for_the_loop(layer, sequences, context, reset_mask, perturbation, return_trace):
    """What of a call needs the loop over the cell's own step, in words; None if nothing does."""
    asked = {
        "`memory`": context,
        "`reset_mask`": reset_mask is not None,
        "`perturbation`": perturbation is not None,
        "`return_trace`": return_trace,
        "`unroll=True`": layer.unroll,
        "a nest of inputs": tree.is_nested(sequences),
        "a sequence of no steps": tree.flatten(sequences)[0].shape[1] == 0,
    }
    return next((words for words, is_asked in asked.items() if is_asked), None)


def over_time(implementation, cell, inputs, states, constants, training, mask, go_backwards, **how):
    """`(output, states)` of a cell over `inputs` `(B, T, D)` by a hoisted loop, a kernel or cuDNN.

    `how` are `return_sequences` and `zero_output_for_mask`, as in `backend.loop.loop`.
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
        return kernels.run_cudnn(cell, inputs, states, mask=mask, go_backwards=go_backwards, **how)
    way = {"compiled": implementation == "compiled kernel", "by_hand": bool(training), "mask": mask}
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


def _run(cell, inputs, states, constants, **how):
    return kernels.run(cell.sequence_kernel(), inputs, states, cell.input_weights(), constants, **how)
