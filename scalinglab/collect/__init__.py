"""The collector: engines x verifiers x strategies -> samples. Importing it needs no engine's library."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.collect.benchmark import BenchmarkTask, chat_template, open_benchmark
    from scalinglab.collect.grading import Grader
    from scalinglab.collect.judging import JUDGE, JudgeVerifier
    from scalinglab.collect.protocol import About, Engine, Generated, Rewarded, Scored, Thinking
    from scalinglab.collect.recording import Place, Prompt, Recorder
    from scalinglab.collect.run import Progress, check, collect
    from scalinglab.collect.strategies import STRATEGIES, Draft, Policy, Selectors, Strategy
    from scalinglab.collect.task import Problem, Task, TestbedTask, draw_testbed
    from scalinglab.collect.verifiers import (
        MATH_SHEPHERD,
        RLHFLOW,
        ExactVerifier,
        NoisyVerifier,
        RewardVerifier,
        Template,
        TokenVerifier,
        Verifier,
        aggregate,
    )

__all__ = [
    "JUDGE",
    "MATH_SHEPHERD",
    "RLHFLOW",
    "STRATEGIES",
    "About",
    "BenchmarkTask",
    "Draft",
    "Engine",
    "ExactVerifier",
    "Generated",
    "Grader",
    "JudgeVerifier",
    "NoisyVerifier",
    "Place",
    "Policy",
    "Problem",
    "Progress",
    "Prompt",
    "Recorder",
    "RewardVerifier",
    "Rewarded",
    "Scored",
    "Selectors",
    "Strategy",
    "Task",
    "Template",
    "TestbedTask",
    "Thinking",
    "TokenVerifier",
    "Verifier",
    "aggregate",
    "chat_template",
    "check",
    "collect",
    "draw_testbed",
    "open_benchmark",
]

lazy(__name__)
