"""Compose the second half of the embedded reviews, and write `keras_seq/data/reviews.csv`.

The file has two sources. `written`: a thousand reviews written by hand for this project. `composed`: sentences put
together here, from a small vocabulary and the frames below, in which negation, contrast and irony decide what a word of
praise or blame is worth. The written rows are hard for any model of this size; the composed ones can be learned, though
not by counting words. Both have a fixed held-out part.

    python benchmarks/compose_reviews.py      # keeps the written rows, replaces the composed ones
"""

import csv
import random
import re
from pathlib import Path

REVIEWS = Path(__file__).parents[1] / "keras_seq" / "data" / "reviews.csv"
SEED, PER_CELL, HELD_OUT = 2026, 75, 10  # rows (held-out rows) of each topic, label and style

GOOD = "good great lovely wonderful excellent superb beautiful brilliant perfect delightful charming clever".split()
BAD = "bad awful terrible dreadful horrible poor weak dull ugly useless disappointing clumsy".split()

# topic: what it is called, its parts, its own words of praise, its own words of blame
TOPICS = {
    "film": (
        "film comedy thriller drama series sequel".split(),
        "plot ending acting script music dialogue director hero villain picture".split(),
        "funny moving gripping exciting honest tense warm fresh".split(),
        "silly predictable flat lifeless boring confusing slow tedious".split(),
    ),
    "book": (
        "novel memoir mystery guide cookbook thriller".split(),
        "plot ending prose opening narrator heroine dialogue chapter index cover".split(),
        "funny moving gripping honest wise clear warm fresh".split(),
        "silly predictable flat shallow boring confusing slow tedious".split(),
    ),
    "device": (
        "phone kettle printer lamp watch keyboard".split(),
        "battery screen sound design button app manual cable stand camera".split(),
        "fast quiet reliable sturdy solid clear bright handy".split(),
        "slow noisy flimsy broken cheap dim heavy confusing".split(),
    ),
    "food": (
        "cafe bakery restaurant stall bistro canteen".split(),
        "soup bread coffee curry pizza cake salad sauce breakfast service".split(),
        "fresh delicious tender crisp warm rich generous quick".split(),
        "stale bland burnt cold greasy dry soggy slow".split(),
    ),
    "place": (
        "hotel museum campsite park hostel library".split(),
        "room staff garden breakfast view bed lobby shower path kitchen".split(),
        "clean comfortable friendly peaceful quiet spotless cosy helpful".split(),
        "dirty noisy rude crowded cold damp smelly careless".split(),
    ),
}

# {t} the thing; {a} {b} two parts of it; {y} {z} words that agree with the label; {x} a word against it.
PLAIN = [
    "The {a} is {y} and the {b} is {z}.",
    "A {y}, {z} {t}.",
    "{Y} {a}, {z} {b}.",
    "The {a} was {y}.",
    "{Y} and {z}.",
    "A {y} {t} with a {z} {a}.",
    "We found the {a} {y} and the {b} {z}.",
    "{Y}, {z}, and the {a} is {y} too.",
    "The {a} was {y} from the first day.",
    "My sister called the {t} {y}, and the {a} really is {z}.",
    "Everything about this {t} is {y}, above all the {a}.",
    "Such a {y} {a}, and the {b} was just as {z}.",
]
NEGATION = [
    "The {a} is not {x} at all.",
    "It was not {x}.",
    "Never {x}, and the {b} is {y}.",
    "Not worth calling {x}, this {t}.",
    "There is nothing {x} about the {a} or the {b}.",
    "I would never call this {t} {x}.",
    "The {a} was never {x}, not even once.",
    "Nobody could say that the {a} is {x}.",
    "The {t} is far from {x}, and the {a} is anything but {x}.",
    "Hardly a {x} {t}, and not a {x} {a} either.",
    "It was not a {x} {t}, and the {a} was {y}.",
]
CONTRAST = [
    "The {a} is {x}, but the {b} is {y} and the {t} is {z}.",
    "Although the {a} is {x}, this is a {y} {t}.",
    "A {y} {t}, although the {a} is {x}.",
    "I expected a {x} {t}, but it was {y}.",
    "Despite the {x} {a}, the {t} as a whole is {y}.",
    "They told me the {a} was {x}; it turned out to be {y}.",
    "{X} at first sight, yet the {t} is {y} where it counts.",
    "The {a} may be {x}, still the {t} is {y}.",
]
IRONY = {
    "negative": [
        "Great, another {t} with a {y} {a}.",
        "Congratulations, the {a} is even more {y} than the {b}.",
        "How {x} of them to sell a {t} with such a {y} {a}.",
        "If you have always wanted a {y} {a}, this is your {t}.",
        "So {x}, I asked for my money back.",
        "Truly {x}: the {a} gave up after one hour.",
    ],
    "positive": [
        "Bad news for my savings: the {a} is too {y}.",
        "I blame this {t} for my lost weekend, the {a} is that {y}.",
        "Shame on them, now every other {a} seems {x}.",
        "What a disaster, a {t} so {y} that I cannot stop telling people.",
        "I hate how {y} the {a} is, now I need a second one.",
        "Terrible for my diet and my sleep, this {y} {t}.",
    ],
}


def compose(topic, label, style, rng):
    things, parts, good, bad = TOPICS[topic]
    praise, blame = GOOD + good, BAD + bad
    with_label, against = (praise, blame) if label == "positive" else (blame, praise)
    frame = rng.choice({"plain": PLAIN, "negation": NEGATION, "contrast": CONTRAST, "irony": IRONY[label]}[style])
    a, b = rng.sample(parts, 2)
    y, z = rng.sample(with_label, 2)
    x = rng.choice(against)
    text = frame.format(t=rng.choice(things), a=a, b=b, x=x, y=y, z=z, X=x.capitalize(), Y=y.capitalize())
    return re.sub(r"\b([Aa]) (?=[aeio]|hon|ug)", r"\1n ", text)


def main():
    rng = random.Random(SEED)
    with REVIEWS.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("source", "written") == "written"]
    for row in rows:
        row["source"] = "written"
    seen = {row["text"] for row in rows}
    for topic in TOPICS:
        for label in ("negative", "positive"):
            for style in ("plain", "negation", "contrast", "irony"):
                texts = []
                while len(texts) < PER_CELL:
                    text = compose(topic, label, style, rng)
                    if text not in seen:
                        seen.add(text)
                        texts.append(text)
                for i, text in enumerate(texts):
                    split = "test" if i < HELD_OUT else "train"
                    row = {"text": text, "label": label, "topic": topic, "style": style}
                    rows.append({**row, "source": "composed", "split": split})
    rng.shuffle(rows)
    temporary = REVIEWS.with_suffix(".tmp")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["text", "label", "topic", "style", "source", "split"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    temporary.replace(REVIEWS)


if __name__ == "__main__":
    main()
