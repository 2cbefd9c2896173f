"""Write the tables of the README from the result files.

python benchmarks/tables.py            # writes README.md
python benchmarks/tables.py --check    # fails where the README is not what the results say
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def demo():
    card = json.loads((ROOT / "saved_models" / "reviews" / "card.json").read_text())
    metrics, baselines = card["metrics"], card["baselines"]
    rows = [
        ("this model", metrics["accuracy"], metrics["macro_f1"]),
        ("… on the composed ones", metrics["accuracy_composed"], None),
        ("… on the written ones", metrics["accuracy_written"], None),
        ("bag of words", baselines["bag_of_words"]["accuracy"], baselines["bag_of_words"]["macro_f1"]),
        ("majority class", baselines["majority"]["accuracy"], baselines["majority"]["macro_f1"]),
    ]
    head = f"{card['split']['test']} held-out reviews"
    return table([head, "accuracy", "macro F1"], [[name, number(a), number(f)] for name, a, f in rows])


def sentiment():
    results = json.loads((ROOT / "benchmarks" / "results" / "sentiment_mr.json").read_text())["results"]
    rows = [
        [
            f"MR, fold {r['fold'] + 1} of 10, seed {r['seed']}",
            f"{r['settings']['model']['encoder']}, {r['parameters']:,} parameters",
            number(r["metrics"]["accuracy"]),
            number(r["baselines"]["bag_of_words"]["accuracy"]),
            f"{r['train_seconds']:.0f} s",
        ]
        for r in results
    ]
    return table(["data", "model", "accuracy", "bag of words", "training"], rows)


def number(value):
    return "" if value is None else f"{value:.3f}"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def filled(text):
    """The README with each table behind its marker made anew."""
    for make in (demo, sentiment):
        marker = f"<!-- table: {make.__name__} -->"
        text = re.sub(rf"{marker}\n+(\|[^\n]*\n)*\n*", lambda _, m=marker, f=make: f"{m}\n\n{f()}\n\n", text)
    return text


def main():
    readme = ROOT / "README.md"
    text = filled(readme.read_text(encoding="utf-8"))
    if "--check" in sys.argv:
        sys.exit(None if text == readme.read_text(encoding="utf-8") else "README.md: run python benchmarks/tables.py")
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
