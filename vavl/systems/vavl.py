"""VAVL's own training: Algorithm 1 of the paper as three steps, and its three answers.

audio step   moves θ_a, θ_s
visual step  moves θ_v, θ_s
fusion step  moves θ_av alone, on clips with both
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vavl.model import Branch, Modality, UnimodalOutput, Vavl
from vavl.systems.batch import Batch, Sequences
from vavl.systems.losses import task_loss
from vavl.systems.system import Answers, System
from vavl_runtime.bundle.manifest import PathName


class VavlSystem(System):
    """VAVL, whole or ablated.

    Args:
        model: The network; its configuration says which parts it has.
        alpha: Weight of the reconstruction loss (eq. 1). The paper gives none; the released code has 2 for
            classes and 1 for attributes (D24), which is the default.
        name: How tables call it.
    """

    paths: tuple[PathName, ...] = ("audio", "visual", "audio_visual")

    def __init__(self, model: Vavl, alpha: float | None = None, name: str = "VAVL") -> None:
        super().__init__()
        self.model = model
        self.task = model.config.task
        self.audio_normalizer = model.audio.normalizer
        self.visual_normalizer = model.visual.normalizer
        self.alpha = alpha if alpha is not None else {"classification": 2.0, "regression": 1.0}[self.task]
        self.name = name

    def parameter_steps(self) -> Mapping[str, list[nn.Parameter]]:
        """Audio before video, as in Algorithm 1 (the released code has it the other way round, D23)."""
        shared = list(self.model.shared.parameters())
        steps = {
            "audio": [*self.model.audio.parameters(), *shared],
            "visual": [*self.model.visual.parameters(), *shared],
        }
        if self.model.audio_visual_head is not None:
            steps["audio_visual"] = list(self.model.audio_visual_head.parameters())
        return steps

    def discriminant_branches(self) -> Mapping[Modality, Branch]:
        """Both branches or none."""
        return {"audio": self.model.audio, "visual": self.model.visual} if self.model.config.discriminants else {}

    def loss(self, step: str, batch: Batch) -> Tensor | None:
        """Equation 1 for a unimodal step, the task's loss alone for fusion; None if the batch lacks the modality."""
        if step == "audio_visual":
            return self._fusion_loss(batch)
        modality: Modality = "audio" if step == "audio" else "visual"
        sequences = batch.audio if modality == "audio" else batch.visual
        if sequences is None:
            return None
        output = self.model.unimodal(modality, sequences.features, sequences.lengths)
        loss = task_loss(self.task, output.logits, batch.target[sequences.rows])
        if output.reconstruction is not None:
            loss = loss + self.alpha * nn.functional.mse_loss(output.reconstruction.float(), output.target.float())
        return loss

    def _fusion_loss(self, batch: Batch) -> Tensor | None:
        rows = batch.paired_rows
        if not len(rows):
            return None
        # Frozen means evaluation mode and no gradients (D28); the head itself keeps its dropout.
        head = self.model.audio_visual_head
        training = self.training
        self.model.eval()
        for branch in self.discriminant_branches().values():
            if branch.discriminants is not None:  # nothing to freeze, and their noise keeps the head from overfitting
                branch.discriminants.train(training)
        with torch.no_grad():
            audio, visual = self._paired(batch, rows)
        self.model.train(training)
        if head is None:
            raise RuntimeError("a model without audio-visual head has no fusion step")
        logits, _ = self.model.audio_visual(audio, visual)
        return task_loss(self.task, logits, batch.target[rows])

    def _paired(self, batch: Batch, rows: Tensor) -> tuple[UnimodalOutput, UnimodalOutput]:
        if batch.audio is None or batch.visual is None:
            raise RuntimeError("paired rows in a batch without one modality")
        audio, visual = batch.audio.take(rows), batch.visual.take(rows)
        return (
            self.model.unimodal("audio", audio.features, audio.lengths),
            self.model.unimodal("visual", visual.features, visual.lengths),
        )

    def answer(self, batch: Batch) -> Answers:
        """Predict by all three paths."""
        answers = Answers()
        outputs: dict[Modality, UnimodalOutput] = {}
        by_modality: dict[Modality, Sequences | None] = {"audio": batch.audio, "visual": batch.visual}
        present = {modality: sequences for modality, sequences in by_modality.items() if sequences is not None}
        for modality, sequences in present.items():
            outputs[modality] = self.model.unimodal(modality, sequences.features, sequences.lengths)
            answers[modality] = (sequences.rows, self._present(outputs[modality].logits))
        rows = batch.paired_rows
        if len(rows):
            audio, visual = (_take(outputs[m], present[m].rows, rows) for m in ("audio", "visual"))
            answers["audio_visual"] = (rows, self._present(self.model.audio_visual(audio, visual)[0]))
        return answers

    def shared_embeddings(self, batch: Batch) -> tuple[Tensor, Tensor] | None:
        """Time means of the shared layers."""
        rows = batch.paired_rows
        if not len(rows):
            return None
        audio, visual = self._paired(batch, rows)
        return audio.embedding, visual.embedding

    def _present(self, logits: Tensor) -> Tensor:
        return torch.softmax(logits.float(), -1) if self.task == "classification" else logits.float()


def _take(output: UnimodalOutput, present: Tensor, rows: Tensor) -> UnimodalOutput:
    at = torch.searchsorted(present, rows)
    return UnimodalOutput(
        output.logits[at],
        output.embedding[at],
        output.reconstruction[at] if output.reconstruction is not None else None,
        output.target[at],
        output.log_likelihood[at] if output.log_likelihood is not None else None,
    )
