"""`keras-seq diagnose`: what a trained model looks like inside, as one page of HTML."""

import importlib.util
from pathlib import Path

import numpy as np

from keras_seq import diagnostics, saving
from keras_seq.cli.diagnose_data import batch_of
from keras_seq.cli.outputs import check_file
from keras_seq.cli.page import Page
from keras_seq.diagnostics.gate_activations import has_gates
from keras_seq.diagnostics.inner_loops import recurrent_layers
from keras_seq.diagnostics.jacobians import gates_of_kernel
from keras_seq.errors import MissingExtraError
from keras_seq.files import written_whole
from keras_seq.layers.stacked import cells_within

_SHOWN = 3  # rows that pictures are drawn for


def diagnose_with(directory, out, data=None, rows=64, **columns):
    """Write the page.

    Args:
        directory: an artefact.
        out: the file, which ends in .html.
        data: a file with labelled rows, or None for those that the model was trained on, where they are known.
        rows: how many of them are looked at.
        columns: names of columns by kind, or None.
    """
    check_file("--out", out, ".html")
    if not importlib.util.find_spec("matplotlib"):
        raise MissingExtraError("keras-seq diagnose", "plots")
    directory = Path(directory)
    card = saving.read_card(directory)
    model = saving.load(directory)
    batch = batch_of(model, card, directory, data, rows, **columns)
    page = Page(f"{directory.resolve().name}: a model of kind {card['kind']}")
    _about(page, card, batch)
    verdict = None
    if recurrent_layers(model):
        _structure(page, model)
        verdict = _gradients(page, model, batch)
        _kernels(page, model)
        _gates(page, model, batch)
    else:
        page.section("Recurrent layers")
        page.text("None: its gradients take no way through time, and it has no states and gates to show.")
    _saliency(page, model, batch)
    if card["kind"] == "seq2seq" and model.network.attention is not None:
        _attention(page, model, batch)
    with written_whole(out, "w") as file:
        file.write(page.html())
    print(verdict or f"Model {directory.name!r} has no recurrent layers.")
    print(f"Wrote {out}.")


def _about(page, card, batch):
    page.section("The model")
    seed = "" if card.get("seed") is None else f", seed {card['seed']}"
    page.text(f"Trained on {card.get('data') or 'data that its card does not tell'}{seed}.")
    if card.get("parameters"):
        page.text(f"It has {card['parameters']:,} weights.")
    figures = {"this model": card.get("metrics") or {}, **card.get("baselines", {})}
    names = dict.fromkeys(name for one in figures.values() for name in one)
    page.table(
        [{"": name, **{who.replace("_", " "): one.get(name, "") for who, one in figures.items()}} for name in names]
    )
    page.text(f"All that follows was measured on {batch.told}.")


def _structure(page, model):
    page.section("Structure")
    ax = diagnostics.plot_structure(model)
    page.picture(ax.figure, "The recurrent layers of the model, unrolled over a few steps, with shapes and weights.")


def _gradients(page, model, batch):
    page.section("Gradients through time")
    flow = diagnostics.gradient_flow(model, batch.x, batch.y, batch.sample_weight)
    page.verdict(str(flow))
    page.picture(flow.plot().figure, "Norm of the gradient by distance from the last step, for each state.")
    shown = {
        "layer": "layer",
        "state": "state",
        "steps": "steps",
        "gamma": "factor per step",
        "memory": "memory in steps",
    }
    rows = flow.summary[[*shown, "verdict"]].rename(columns=shown).to_dict("records")
    page.table([{name: _plain(value) for name, value in row.items()} for row in rows])
    return str(flow)


def _kernels(page, model):
    page.section("Recurrent kernels")
    rows = []
    for layer in recurrent_layers(model):
        for cell in cells_within(layer.cell):
            if gates_of_kernel(cell):
                radii = diagnostics.spectral_radius(cell)
                rows += [
                    {"layer": layer.name, "cell": cell.name, "gate": gate, "spectral radius": float(radius)}
                    for gate, radius in radii.items()
                ]
    page.table(rows)
    page.text(
        "The largest absolute eigenvalue. Of a plain recurrent network (h) a gradient fades by it in the long run where"
        " it is below 1; of gates, and of a candidate, it says how they answer to the state before."
    )


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


def _gates(page, model, batch):
    page.section("Gates over time")
    if not has_gates(model):
        page.text("The recurrent layers of this model have none.")
        return
    gates = diagnostics.gate_activations(model, batch.inputs)
    page.text(f"In {batch.names[0]!r}; each line is a unit.")
    for part in range(len(gates.parts)):
        page.picture(gates.plot(row=0, part=part).figure, f"Gates of {gates.parts[part].label} at each step.")


def _saliency(page, model, batch):
    page.section("What counts")
    if batch.shared:
        page.text("Not drawn: source and target share their embeddings.")
        return
    page.text("How much the loss of a row answers to a small change of what is read at a step.")
    for row in range(min(_SHOWN, len(batch.names))):
        x, y, sample_weight, tokens = batch.row(row)
        found = diagnostics.saliency(model, x, y, sample_weight=sample_weight, at=batch.at)
        found.tokens = found.tokens or tokens
        page.text(batch.names[row])
        page.picture(found.plot().figure, f"Saliency of each step of: {batch.names[row]}")


def _attention(page, model, batch):
    page.section("Attention")
    found = model.translate(batch.names[:_SHOWN], return_attention=True)
    for text, one in zip(batch.names[:_SHOWN], found, strict=True):
        if one.source_tokens and one.tokens:
            figure = diagnostics.attention_map(one.attention, one.source_tokens, one.tokens, title=one.text)
            page.picture(figure, f"What each token of the translation of {text!r} attends to.")
