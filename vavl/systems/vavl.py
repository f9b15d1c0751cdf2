"""VAVL's own training: Algorithm 1 of the paper as three steps, and prediction by its three paths.

audio step   updates θ_a and θ_s
visual step  updates θ_v and θ_s
fusion step  updates only θ_av, on clips that have both modalities
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vavl.model import Branch, Modality, UnimodalOutput, Vavl
from vavl.systems.batch import Batch
from vavl.systems.losses import task_loss
from vavl.systems.system import BatchPredictions, System
from vavl_runtime.bundle.manifest import PathName


class VavlSystem(System):
    """VAVL, complete or ablated.

    Args:
        model: The network; its configuration decides which parts it has.
        alpha: Weight of the reconstruction loss (eq. 1). The paper gives no value; the default is that of the released
            code, 2 for classes and 1 for attributes (D24).
        name: Name in tables.
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
        """Audio before video, as in Algorithm 1; the released code has the opposite order (D23)."""
        shared = list(self.model.shared.parameters())
        steps = {
            "audio": [*self.model.audio.parameters(), *shared],
            "visual": [*self.model.visual.parameters(), *shared],
        }
        if self.model.audio_visual_head is not None:
            steps["audio_visual"] = list(self.model.audio_visual_head.parameters())
        return steps

    def output_layers(self) -> list[nn.Linear]:
        """The last layer of each head."""
        heads = (self.model.audio.head, self.model.visual.head, self.model.audio_visual_head)
        return [head.output for head in heads if head is not None]

    def discriminant_branches(self) -> Mapping[Modality, Branch]:
        """Both branches if the configuration has discriminants, else none."""
        return {"audio": self.model.audio, "visual": self.model.visual} if self.model.config.discriminants else {}

    def loss(self, step: str, batch: Batch) -> Tensor | None:
        """Equation 1 for a unimodal step, only the task's loss for fusion; None if no clip has the modality."""
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
        # The rest of the network is frozen: evaluation mode and no gradients (D28). The head itself keeps its dropout.
        head = self.model.audio_visual_head
        training = self.training
        self.model.eval()
        for branch in self.discriminant_branches().values():
            if (
                branch.discriminants is not None
            ):  # no weights to freeze, and their noise keeps the head from overfitting
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

    def predict(self, batch: Batch) -> BatchPredictions:
        """Predict by all three paths."""
        predictions = BatchPredictions()
        outputs: dict[Modality, UnimodalOutput] = {}
        for modality, sequences in batch.present():
            outputs[modality] = self.model.unimodal(modality, sequences.features, sequences.lengths)
            predictions[modality] = (sequences.rows, self._to_predictions(outputs[modality].logits))
        rows = batch.paired_rows
        if batch.audio is not None and batch.visual is not None and len(rows):
            audio = _take(outputs["audio"], batch.audio.rows, rows)
            visual = _take(outputs["visual"], batch.visual.rows, rows)
            predictions["audio_visual"] = (rows, self._to_predictions(self.model.audio_visual(audio, visual)[0]))
        return predictions

    def shared_embeddings(self, batch: Batch) -> tuple[Tensor, Tensor] | None:
        """Means over time of the shared layers' output."""
        rows = batch.paired_rows
        if not len(rows):
            return None
        audio, visual = self._paired(batch, rows)
        return audio.embedding, visual.embedding

    def _to_predictions(self, logits: Tensor) -> Tensor:
        return torch.softmax(logits.float(), -1) if self.task == "classification" else logits.float()


def _take(output: UnimodalOutput, available: Tensor, rows: Tensor) -> UnimodalOutput:
    at = torch.searchsorted(available, rows)
    return UnimodalOutput(
        output.logits[at],
        output.embedding[at],
        output.reconstruction[at] if output.reconstruction is not None else None,
        output.target[at],
        output.log_likelihood[at] if output.log_likelihood is not None else None,
    )
