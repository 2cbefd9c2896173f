"""Commands and their options."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from keras_seq.cli.train import train

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(train, name="train")
app.callback()(lambda: None)

Format = StrEnum("Format", {name: name for name in ("table", "csv", "jsonl")})


@app.command()
def predict(
    directory: Annotated[Path, typer.Argument(help="An artefact.", metavar="DIR")],
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts. Without them and --data: lines of standard input.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="CSV, TSV, JSON lines or Parquet: texts, or a history.")] = None,
    text: Annotated[str | None, typer.Option(help="Column with the texts.", show_default="text")] = None,
    format: Annotated[Format | None, typer.Option(help="How to print.", show_default="table")] = None,
    beams: Annotated[
        int | None, typer.Option(min=1, help="Translations that are followed at a time.", show_default="4")
    ] = None,
    n_best: Annotated[int | None, typer.Option(min=1, help="Translations of each text to print.")] = None,
    attention: Annotated[
        Path | None, typer.Option(help="PNG to draw what the translation of one text attends to.")
    ] = None,
    future: Annotated[
        Path | None,
        typer.Option(help="Table of covariates of the steps to come. They may also stand at the end of --data."),
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(min=1, help="Steps to forecast.", show_default="as many as were trained")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="CSV or JSON lines to write the forecast to.")] = None,
    plot: Annotated[Path | None, typer.Option(help="PNG to draw history and forecast.")] = None,
):
    """Judge or translate texts, or forecast series, with a trained model."""
    given = dict(locals())
    from keras_seq.cli.predict import predict_with

    directory, form = given.pop("directory"), given.pop("format")
    predict_with(directory, form and form.value, **given)


@app.command()
def diagnose(
    directory: Annotated[Path, typer.Argument(help="An artefact.", metavar="DIR")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")],
    data: Annotated[
        Path | None,
        typer.Option(help="CSV, TSV, JSON lines or Parquet with labelled rows.", show_default="what it was trained on"),
    ] = None,
    text: Annotated[str | None, typer.Option(help="Column with the texts.", show_default="text")] = None,
    label: Annotated[str | None, typer.Option(help="Column with the labels.", show_default="label")] = None,
    source: Annotated[str | None, typer.Option(help="Column to translate from.", show_default="source")] = None,
    target: Annotated[str | None, typer.Option(help="Column to translate to.", show_default="target")] = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows, or windows, to look at.")] = 64,
):
    """Write a page on a trained model: its structure, and how its gradients, gates and attention behave."""
    given = dict(locals())
    from keras_seq.cli.diagnose import diagnose_with

    diagnose_with(given.pop("directory"), given.pop("out"), **given)
