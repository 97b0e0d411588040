"""The authors' recipe, trained as long as a shipped checkpoint, on the same instances.

python experiments/checkpoints/authors.py [--seconds 385] [--smoke] [--out DIR]

GPT-2 style blocks, learned positions, a linear read-out of all tokens, the signed loss,
Adam at 1e-3 (preset `paper_gpt2`): for d = 10 and N = 50 alone. Prints |cos| per rank
on the held-out instances of `run.py --score`.
"""

import dataclasses
import sys
from pathlib import Path

from run import show
from score import CASES, instances, mean_square, score_table

from spectral_tf import TrainConfig, evaluate, model_preset, pretrain
from spectral_tf.apps.watch import write_curve
from spectral_tf.training import checkpoint_folders

sys.path.append(str(Path(__file__).parents[2]))
from experiments import harness

MOST_STEPS = 200_000
"""More than the time allows."""


def config_of(smoke: bool) -> TrainConfig:
    model = model_preset("paper_gpt2", num_components=4, num_blocks=2 if smoke else 12)
    return TrainConfig(
        model=model,
        shapes=((10, 50),),
        loss="signed",
        eigenvalue_weight=1.0,
        learning_rate=1e-3,
        schedule="constant",
        max_grad_norm=1e6,
        batch_size=4 if smoke else 64,
        num_steps=2 if smoke else MOST_STEPS,
        steps_per_call=1 if smoke else 20,
        warmup_steps=1 if smoke else 100,
    )


def main() -> int:
    args = harness.options(
        __file__,
        __doc__,
        smoke="two tiny steps",
        more=lambda parser: parser.add_argument(
            "--seconds", type=float, default=385.0, help="of training"
        ),
    )
    run_dir, config = args.out / "authors", config_of(args.smoke)
    result = pretrain(
        config,
        run_dir,
        resume=bool(checkpoint_folders(run_dir)),
        max_seconds=None if args.smoke else args.seconds,
        on_call=show,
    )
    write_curve(run_dir)
    case = dataclasses.replace(CASES[0], count=4) if args.smoke else CASES[0]
    report = evaluate(result.network, instances(case))
    seen = int(result.step) * config.batch_size
    found = {
        "instances": case.name,
        "method": f"authors' recipe, {seen:,} instances",
        "n": report.num_instances,
        "cosine": [rank.mean for rank in report.cosine],
        "half_width": [rank.half_width for rank in report.cosine],
        "squared_error": [
            mean_square(rank, report.num_instances) for rank in report.eigenvalue_error
        ],
    }
    print(score_table([found]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
