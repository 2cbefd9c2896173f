"""Rows of the tables on translation."""

import statistics

NAMES = {"gru": "GRU with attention", "transformer": "transformer"}
TASKS = {"dates": "dates", "multi30k": "Multi30k de→en, test 2016"}


def quality(results):
    """Head and rows, a row for each task, over its seeds, of what was judged on test pairs."""
    runs = [run for run in results if run["judged_on"] == "test"]
    rows = []
    for task in sorted({run["task"] for run in runs}):
        mine = [run for run in runs if run["task"] == task]
        data, kind = task.split("_")
        metric = "exact" if data == "dates" else "bleu"
        rows.append(
            [
                TASKS[data],
                f"{NAMES[kind]}, {mine[0]['parameters'] / 1e6:.2f} M parameters",
                str(len(mine)),
                *(_mean([run["metrics"][how][metric] for run in mine], metric) for how in ("greedy", "beam")),
                _duration(statistics.mean(run["train_seconds"] for run in mine)),
            ]
        )
    return ["data", "model", "seeds", "greedy", "beam 4", "training"], rows


def _mean(values, metric):
    shown = [100 * value for value in values] if metric == "exact" else values
    text = f"{statistics.mean(shown):.2f}" + (f" ± {statistics.stdev(shown):.2f}" if len(shown) > 1 else "")
    return f"{text} % exact" if metric == "exact" else f"{text} BLEU"


def _duration(seconds):
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def speed(results):
    """Head and rows, a row for each model: milliseconds, and how many times faster."""
    rows = []
    for run in results:
        beam, greedy = run["beam_milliseconds"], run["greedy_milliseconds"]
        rows.append(
            [
                run["task"].replace("_", ", "),
                f"{beam['in_process']:.0f} ms",
                f"{beam['exported']:.0f} ms",
                f"{greedy['translate'] / 1e3:.1f} s",
                f"{greedy['keras_loop'] / 1e3:.1f} s",
                f"{greedy['keras_loop'] / greedy['translate']:.1f}",
            ]
        )
    head = ["model", "32 texts, beam 4", "the same, exported", "1,000 texts, greedy", "Keras loop", "times faster"]
    return head, rows
