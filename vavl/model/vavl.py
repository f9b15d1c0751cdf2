"""VAVL: two modality branches, one shared encoder, three paths to a prediction (paper §3, Algorithm 1).

Legend: B clips, T tokens, F feature width, D model width, C classes or attributes.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from vavl.config import Dynamics, VavlConfig
from vavl.model.conformer import Conformer
from vavl.model.heads import Discriminants, FeatureNormalizer, Head, Presentation
from vavl.model.masking import length_mask, masked_mean, masked_pool, with_dynamics, with_spread
from vavl_runtime.errors import InvalidArrayError

Modality = Literal["audio", "visual"]


@dataclass(frozen=True)
class UnimodalOutput:
    """The output of one modality's path.

    Attributes:
        logits: Network output before `Presentation`, (B, C).
        embedding: Mean over time of the shared layers' output, (B, D).
        reconstruction: Reconstructed mean of the branch's input, (B, W), or None without that head.
        target: Target of the reconstruction: mean of the branch's input over valid tokens, (B, W). The input is the
            normalised features, W = F, unless the configuration has dynamics or discriminants.
        log_likelihood: Log likelihood of each class by the linear discriminants, (B, C), already part of the logits;
            None without discriminants.
    """

    logits: Tensor
    embedding: Tensor
    reconstruction: Tensor | None
    target: Tensor
    log_likelihood: Tensor | None


class Branch(nn.Module):
    """The layers of one modality: θ_a or θ_v."""

    def __init__(self, config: VavlConfig, features: int, layers: int, *, dynamics: Dynamics, pool: int) -> None:
        super().__init__()
        self.dynamics = dynamics
        self.pool = pool
        self.normalizer = FeatureNormalizer(features)
        width = features * {"off": 1, "spread": 2, "frames": 3}[dynamics]
        self.discriminants = Discriminants(width, len(config.labels)) if config.discriminants else None
        if self.discriminants is not None:
            width = self.discriminants.dim
        kernel = config.projection_kernel
        self.projection = nn.Conv1d(width, config.projection_dim, kernel, padding=kernel // 2, bias=False)
        self.input = nn.Linear(config.projection_dim, config.width)
        self.input_dropout = nn.Dropout(config.dropout)
        self.encoder = build_conformer(config, layers)
        self.head = build_head(config, config.width, len(config.labels))
        self.reconstruction = build_head(config, config.width, width) if config.reconstruction else None

    def describe(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise features (B, T, F) and append their dynamics if the branch has dynamics.

        Returns:
            The branch's input (B, T', W) and its mask (B, T'). For the spread, groups of tokens are averaged first.
        """
        described = self.normalizer(features)
        if self.dynamics == "spread":
            described, mask = self._grouped(described, mask)
            return with_spread(described, mask), mask
        return with_dynamics(described, mask) if self.dynamics == "frames" else described, mask

    def _grouped(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return masked_pool(x, mask, self.pool) if self.pool > 1 else (x, mask)

    def project(self, described: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Project the branch's input (B, T, W) to tokens (B, T', D), and return them with their mask (B, T')."""
        if self.dynamics != "spread":
            described, mask = self._grouped(described, mask)
        x = self.projection((described * mask[:, :, None]).transpose(1, 2)).transpose(1, 2)  # padding is zero
        return self.input_dropout(self.input(x)), mask


class Shared(nn.Module):
    """The layers that both modalities share, θ_s, with the residual over them."""

    def __init__(self, config: VavlConfig) -> None:
        super().__init__()
        self.residual = config.residual
        self.encoder = build_conformer(config, config.shared_layers)
        released = config.layout == "released"
        self.input = nn.Linear(config.width, config.width) if released else nn.Identity()
        self.norm = nn.LayerNorm(config.width) if released else nn.Identity()  # D9

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Encode tokens (B, T, D) under a length mask (B, T)."""
        encoded = self.encoder(self.input(x), mask)
        return self.norm(encoded + x if self.residual else encoded)


class Vavl(nn.Module):
    """The versatile audio-visual learning model.

    Args:
        config: Architecture and task.

    Attributes:
        audio: θ_a.
        visual: θ_v.
        shared: θ_s.
        audio_visual_head: θ_av, or None in ablation 3.

    Example:
        >>> import torch
        >>> from vavl.config import light_config
        >>> model = Vavl(light_config(audio_dim=10)).eval()
        >>> output = model.unimodal("audio", torch.zeros(2, 50, 10), torch.tensor([50, 30]))
        >>> output.logits.shape
        torch.Size([2, 6])
    """

    def __init__(self, config: VavlConfig) -> None:
        super().__init__()
        self.config = config
        self.audio = Branch(config, config.audio_dim, config.audio_layers, dynamics="off", pool=1)
        self.visual = Branch(
            config,
            config.visual_dim,
            config.visual_layers,
            dynamics=config.visual_dynamics,
            pool=config.visual_pool,
        )
        self.shared = Shared(config)
        self.audio_visual_head = (
            build_head(config, 2 * config.width, len(config.labels)) if config.audio_visual_head else None
        )
        self.presentation = Presentation(config)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if config.discriminants:  # the network starts from their likelihoods
            for head in (self.audio.head, self.visual.head, self.audio_visual_head):
                if head is not None:
                    nn.init.zeros_(head.output.weight)

    def unimodal(self, modality: Modality, features: Tensor, lengths: Tensor) -> UnimodalOutput:
        """Run one modality's path. The other branch is not used.

        Args:
            modality: Which branch.
            features: Encoder features, float32, shape (B, T, F).
            lengths: Number of valid tokens, int64, shape (B,), each at least 1.

        Returns:
            Logits, embedding, reconstruction and its target.

        Raises:
            InvalidArrayError: The features do not have the configured width, the sequence is longer than the position
                table, or a model with ``released`` layout got more than one clip.
        """
        branch: Branch = getattr(self, modality)
        self._check(modality, features)
        mask = length_mask(lengths, features.shape[1])
        described, mask = branch.describe(features, mask)
        if branch.discriminants is not None:
            described = branch.discriminants(described)
        tokens, valid = branch.project(described, mask)
        if self.config.layout == "released":
            # The released code feeds (time, batch, width) to a batch-first encoder, so attention and convolution
            # run over the batch. With one clip, that is one sequence of length 1 for each frame (D1).
            encoded = self.shared(branch.encoder(tokens.transpose(0, 1), valid.T), valid.T).transpose(0, 1)
        else:
            encoded = self.shared(branch.encoder(tokens, valid), valid)
        embedding = masked_mean(encoded, valid)
        target = masked_mean(described, mask)
        logits, log_likelihood = branch.head(embedding), None
        if branch.discriminants is not None:
            log_likelihood = branch.discriminants.log_likelihood(target)
            logits = logits + log_likelihood
        reconstruction = branch.reconstruction(embedding) if branch.reconstruction is not None else None
        return UnimodalOutput(logits, embedding, reconstruction, target, log_likelihood)

    def audio_visual(self, audio: UnimodalOutput, visual: UnimodalOutput) -> tuple[Tensor, Tensor]:
        """Fuse the two unimodal outputs.

        Args:
            audio: Output of the audio path.
            visual: Output of the visual path.

        Returns:
            Logits (B, C) and the fused embedding (B, head_hidden[0]), the first hidden layer of the
            audio-visual head. Without that head (ablation 3) the logits give the average of the two unimodal
            predictions, and the embedding is the mean of both.
        """
        if self.audio_visual_head is None:
            embedding = 0.5 * (audio.embedding + visual.embedding)
            if self.config.task == "classification":
                averaged = 0.5 * (torch.softmax(audio.logits, -1) + torch.softmax(visual.logits, -1))
                return torch.log(averaged + 1e-12), embedding
            return 0.5 * (audio.logits + visual.logits), embedding
        hidden = self.audio_visual_head.first(torch.cat([audio.embedding, visual.embedding], dim=-1))  # audio first
        logits = self.audio_visual_head.rest(hidden)
        if audio.log_likelihood is not None and visual.log_likelihood is not None:
            logits = logits + audio.log_likelihood + visual.log_likelihood  # assumes independence, given the class
        return logits, hidden

    def _check(self, modality: Modality, features: Tensor) -> None:
        expected = self.config.audio_dim if modality == "audio" else self.config.visual_dim
        if features.ndim != 3 or features.shape[2] != expected:
            raise InvalidArrayError(
                f"{modality} features: got shape {tuple(features.shape)}, expected (B, T, {expected}); "
                "were they extracted with the encoder this model was trained with?"
            )
        if features.shape[1] > self.config.max_tokens:
            raise InvalidArrayError(
                f"{modality} features: got {features.shape[1]} tokens, the position table covers "
                f"{self.config.max_tokens}; cut the clip into windows or raise max_tokens"
            )
        if self.config.layout == "released" and features.shape[0] != 1:
            raise InvalidArrayError(
                f"{modality} features: got a batch of {features.shape[0]} with layout released, expected 1; "
                "this layout attends over the batch and would mix clips (D1); run clips one by one"
            )


def build_conformer(config: VavlConfig, layers: int) -> Conformer:
    """Build a conformer of the configured shape with the given number of blocks."""
    return Conformer(
        layers,
        config.width,
        config.heads,
        config.feed_forward_mult,
        config.conv_kernel,
        config.dropout,
        config.max_tokens,
    )


def build_head(config: VavlConfig, inputs: int, outputs: int) -> Head:
    """Build a head of the configured shape."""
    return Head(inputs, outputs, config.head_hidden, config.head_dropout, activate_last=config.layout == "paper")
