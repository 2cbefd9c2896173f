"""Write the tables of README.md, benchmarks/README.md and docs/ from the result files.

python benchmarks/tables.py            # writes them
python benchmarks/tables.py --check    # fails where a page is not what the results say
"""

import re
import sys
from pathlib import Path

import algorithmic_report
import choose_report
import clockwork_report
import forecasting_report
import gradient_report
import language_report
import recurrent_report
import sentiment_report
import speed_report
import translation_report
from results_file import read

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TABLES = {  # by what stands in the marker; each makes a head and rows
    "choose": choose_report.choose,
    "demo": sentiment_report.demo,
    "sentiment": sentiment_report.sentiment,
    "changes": sentiment_report.changes,
    "text_pipeline": sentiment_report.text_pipeline,
    "vectorize": sentiment_report.vectorize,
    "translation": lambda: translation_report.quality(read("translation")),
    "translation_speed": lambda: translation_report.speed(read("translation_speed")),
    "language": language_report.quality,
    "forecasting": lambda: forecasting_report.ett(read("forecasting"), read("forecasting_peer")),
    "forecasting_frames": lambda: forecasting_report.frames(read("forecasting")),
    "forecasting_speed": lambda: forecasting_report.speed(read("forecasting_speed")),
    "clockwork_wave": lambda: clockwork_report.trained(read("clockwork"), "wave", ("mse", "nmse")),
    "clockwork_adding": lambda: clockwork_report.trained(read("clockwork"), "adding", ("mse",)),
    "clockwork_speed": lambda: clockwork_report.speed(read("clockwork")),
    "algorithmic": lambda: algorithmic_report.quality(read("algorithmic")),
    "memory_speed": lambda: algorithmic_report.speed(read("memory_speed")),
    "copy_memory": gradient_report.copy_memory,
    "gradient_flow": gradient_report.gradient_flow,
    "starts": gradient_report.starts,
    "recurrent": lambda: recurrent_report.by_layer("tensorflow"),
    "recurrent_jax": lambda: recurrent_report.by_layer("jax"),
    "recurrent_shapes": lambda: recurrent_report.by_shape("tensorflow"),
    "recurrent_shapes_jax": lambda: recurrent_report.by_shape("jax"),
    "attention": speed_report.attention,
    "decoding": speed_report.decoding,
    "cached_decoding": speed_report.cached_decoding,
    "gradient_monitor": speed_report.gradient_monitor,
}


def markdown(head, rows):
    """Lines of a table; one that has no rows yet is none at all."""
    lines = [head, ["---"] * len(head), *rows] if rows else []
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def filled(text):
    """A page with each table behind its marker made anew."""

    def made(found):
        return f"{found[1]}\n\n{markdown(*TABLES[found[2]]())}\n\n".replace("\n\n\n\n", "\n\n")

    return re.sub(r"(<!-- table: (\w+) -->)\n+(?:\|[^\n]*\n)*\n*", made, text)


def main():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if "--check" not in sys.argv:
            page.with_suffix(".tmp").write_text(filled(text), encoding="utf-8")
            page.with_suffix(".tmp").replace(page)
        elif filled(text) != text:
            sys.exit(f"{page.relative_to(ROOT)}: run python benchmarks/tables.py")


if __name__ == "__main__":
    main()
