"""Weightings: how much each task pulls at the shared layers. One file per scheme.

A scheme asks one of three questions, and the trainer computes only what that needs:

- ``losses``: ``objective(losses_T) -> scalar``; its derivative by each loss is the effective weight. One backward pass.
- ``gramian``: ``weights(gram_TT, losses_T) -> weights_T``; the step is Σ wᵢ gᵢ. One trunk backward pass per task, or, by the
  knob ``on``, one in all after a look at the gradients of the shared representation or of the last shared stage.
- ``gradients``: ``direction(grads_TP, losses_T) -> direction_P``. One trunk backward pass per task.

Beside its question a scheme may look again (``after_look``: the same batch after the step) or look ahead (``after_outlook``:
what each weight would do to the validation loss). It sees tensors and returns tensors: no model, optimiser, device name, database or page.
Legend: T tasks, P shared parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mtl_core.registry import Knobs, Shelf, Variant

Question = Literal["losses", "gramian", "gradients"]
On = Literal["parameters", "last_stage", "representation"]


@dataclass(frozen=True)
class Paper:
    """Where a scheme was published."""

    authors: str
    year: int
    title: str
    link: str


@dataclass(frozen=True)
class Setting:
    """What a scheme may know of the run: task names, labelled training samples per task, steps per epoch, its own chance."""

    tasks: tuple[str, ...]
    sizes: tuple[int, ...]
    steps_per_epoch: int = 1
    generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))


class WeightingKnobs(Knobs):
    """Knobs that every scheme has: what public code leaves silent and what makes its numbers incomparable."""

    scale: Literal["published", "sum", "mean"] = Field(
        "published",
        title="Scale of the step",
        description="Schemes are published as a sum over tasks (equal weights: 1 each) or as a mean (1/T each), a factor T apart. "
        "With SGD that factor multiplies the learning rate; Adam hides it.",
    )
    heads: Literal["published", "weighted", "unit"] = Field(
        "published",
        title="Gradients of the heads",
        description="Each task's own layers follow their task's weight (weighted) or always count fully (unit).",
    )


class GramianKnobs(WeightingKnobs):
    """Knobs of every scheme that looks at inner products of gradients."""

    on: On = Field(
        "parameters",
        title="Gradients of",
        description="Whose inner products the scheme sees: all shared parameters (exact; a backward pass per task), those of the "
        "last shared stage, or the shared representation (both cheaper: one pass through the rest of the trunk).",
    )


class Weighting(nn.Module, Variant):
    """A weighting scheme for T tasks.

    Args:
        knobs: checked values of the class's ``Knobs``.
        setting: what it may know of the run.

    Learned state is a Parameter, remembered state a buffer (or goes through get_extra_state), sized by all T tasks. Where a
    batch lacks some tasks' labels, the methods get the rows of the others only, and ``self.active`` (LongTensor) says which.
    A scheme with Parameters lets ``objective`` differentiate them; in ``weights`` and the hooks it sets their ``.grad`` itself. The run's
    optimiser then moves them with the network (see ``parameter_groups``).
    """

    title: ClassVar[str]
    asks: ClassVar[Question]
    paper: ClassVar[Paper]
    formula: ClassVar[str]  # LaTeX
    published_scale: ClassVar[Literal["sum", "mean"]]
    published_heads: ClassVar[Literal["weighted", "unit"]]
    helps: ClassVar[str]
    hurts: ClassVar[str]
    departs: ClassVar[str] = ""  # where this code leaves the paper, or public code does
    passes: ClassVar[str] = ""  # backward passes through the trunk per step, where it is not 1 (losses) or T
    needs_parts: ClassVar[bool] = False
    looks_again: ClassVar[bool] = False
    looks_ahead: ClassVar[bool] = False
    Knobs: ClassVar[type[Knobs]] = WeightingKnobs

    active: Tensor

    def __init__(self, knobs: WeightingKnobs, setting: Setting) -> None:
        super().__init__()
        self.knobs = knobs
        self.setting = setting
        self.n_tasks = len(setting.tasks)
        self.register_buffer("active", torch.arange(self.n_tasks), persistent=False)

    @classmethod
    def check(cls, knobs: Any, tasks: Sequence[str]) -> None:
        """Raise ValueError, with a remedy, if these knobs cannot serve these tasks."""

    @classmethod
    def trunk_passes(cls, knobs: Any, n_tasks: int) -> float:
        """What a step costs the trunk, in backward passes (a forward pass counts as half of one)."""
        if cls.asks == "losses" or getattr(knobs, "on", "parameters") != "parameters":
            return 1.0
        return (2 * n_tasks + 1) / 3 if cls.needs_parts else float(n_tasks)  # parts: T passes on two thirds, one on the last

    def objective(self, losses_T: Tensor) -> Tensor:
        """A scalar to descend, differentiable in the losses (and in the scheme's own parameters)."""
        raise NotImplementedError

    def weights(self, gram_TT: Tensor, losses_T: Tensor) -> Tensor:
        """The weights w of the step Σ wᵢ gᵢ, from the gradients' inner products (of independent parts: see ``n_parts``)."""
        raise NotImplementedError

    def direction(self, grads_TP: Tensor, losses_T: Tensor) -> Tensor:
        """The step itself (to be subtracted), from the gradients."""
        raise NotImplementedError

    def mix(self, losses_T: Tensor) -> Tensor | None:
        """The weights behind the step that ``direction`` has just given, for the log; None if it is no mix of tasks."""
        return None

    def head_weights(self, losses_T: Tensor, weights_T: Tensor | None) -> Tensor:
        """What multiplies the gradients of each task's own layers where heads are weighted: the weights, or 1 without any."""
        return torch.ones_like(losses_T) if weights_T is None else weights_T

    @property
    def question(self) -> Question:
        """What the scheme asks at this step: ``asks``, or ``losses`` where it reuses its weights."""
        return self.asks

    @property
    def on(self) -> On:
        """Whose gradients a Gramian scheme looks at."""
        return getattr(self.knobs, "on", "parameters")

    @property
    def n_parts(self) -> int:
        """1, or 3: then ``weights`` gets J₁J₂ᵀ of two disjoint parts of the batch, and the step is taken on the third.

        On the representation disjoint parts have nothing in common to compare, so the batch stays whole.
        """
        return 3 if self.needs_parts and self.on != "representation" else 1

    def after_step(self, losses_T: Tensor) -> None:
        """Called after each optimiser step with that step's losses (detached)."""

    def after_epoch(self, mean_losses_T: Tensor) -> None:
        """Called after each epoch with the epoch's mean training losses (detached)."""

    def after_look(self, losses_T: Tensor, again_T: Tensor) -> None:
        """Called after the optimiser step if ``looks_again``, with the losses before it and after it on the same batch."""

    def after_outlook(self, slopes_T: Tensor) -> None:
        """Called before the optimiser step if ``looks_ahead``: derivative by each task's weight of the validation loss after it."""

    def outlook_tasks(self) -> Tensor:
        """For ``looks_ahead``: how much each task counts in the validation loss, [T]."""
        return torch.ones(self.n_tasks)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Optimiser groups for learned state; never decayed. Empty for schemes that learn nothing."""
        own = list(self.parameters())
        return [{"params": own, "weight_decay": 0.0}] if own else []

    @property
    def factor(self) -> float:
        """What turns the scheme's published scale into the chosen one: 1, T or 1/T."""
        chosen = self.knobs.scale
        if chosen in ("published", self.published_scale):
            return 1.0
        return float(self.n_tasks) if chosen == "sum" else 1.0 / self.n_tasks

    @property
    def has_weighted_heads(self) -> bool:
        """Whether each task's own layers follow its weight."""
        chosen = self.knobs.heads
        return (self.published_heads if chosen == "published" else chosen) == "weighted"

    @classmethod
    def describe(cls) -> dict[str, Any]:
        return {
            **super().describe(),
            "asks": cls.asks,
            "backward_passes": cls.passes or ("1" if cls.asks == "losses" else "T"),
            "formula": cls.formula,
            "paper": asdict(cls.paper),
            "scale": cls.published_scale,
            "heads": cls.published_heads,
            "helps": cls.helps,
            "hurts": cls.hurts,
            "departs": cls.departs,
        }


WEIGHTINGS: Shelf[Weighting] = Shelf("weighting", "mtl_core.weightings")
