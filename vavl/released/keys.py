"""The key table: every tensor of the nine released files, and its name in this package.

Keys are the released names, values the names in `vavl.model.Vavl`. None marks a tensor that is dropped on purpose,
because the released code never uses it (D10b). ``{}`` is the number of a conformer block.
"""

import re
from collections.abc import Collection, Mapping

KeyTable = Mapping[str, str | None]

BLOCK: KeyTable = {
    # Half-step feed-forward.
    "sequential.0.module.sequential.0.weight": "feed_forward_in.0.weight",
    "sequential.0.module.sequential.0.bias": "feed_forward_in.0.bias",
    "sequential.0.module.sequential.1.linear.weight": "feed_forward_in.1.weight",
    "sequential.0.module.sequential.1.linear.bias": "feed_forward_in.1.bias",
    "sequential.0.module.sequential.4.linear.weight": "feed_forward_in.4.weight",
    "sequential.0.module.sequential.4.linear.bias": "feed_forward_in.4.bias",
    # Attention. At batch 1 only value and output have an effect (D1); the other tensors are kept, so that nothing
    # trained is lost. The sinusoids are a constant table of absolute rows (D7).
    "sequential.1.module.positional_encoding.pe": None,
    "sequential.1.module.layer_norm.weight": "attention_norm.weight",
    "sequential.1.module.layer_norm.bias": "attention_norm.bias",
    "sequential.1.module.attention.u_bias": "attention.content_bias",
    "sequential.1.module.attention.v_bias": "attention.position_bias",
    "sequential.1.module.attention.query_proj.linear.weight": "attention.query.weight",
    "sequential.1.module.attention.query_proj.linear.bias": "attention.query.bias",
    "sequential.1.module.attention.key_proj.linear.weight": "attention.key.weight",
    "sequential.1.module.attention.key_proj.linear.bias": "attention.key.bias",
    "sequential.1.module.attention.value_proj.linear.weight": "attention.value.weight",
    "sequential.1.module.attention.value_proj.linear.bias": "attention.value.bias",
    "sequential.1.module.attention.pos_proj.linear.weight": "attention.position.weight",
    "sequential.1.module.attention.out_proj.linear.weight": "attention.output.weight",
    "sequential.1.module.attention.out_proj.linear.bias": "attention.output.bias",
    # Convolution; the two pointwise ones are Linear layers here, see `POINTWISE`.
    "sequential.2.module.sequential.0.weight": "convolution.norm.weight",
    "sequential.2.module.sequential.0.bias": "convolution.norm.bias",
    "sequential.2.module.sequential.2.conv.weight": "convolution.expand.weight",
    "sequential.2.module.sequential.2.conv.bias": "convolution.expand.bias",
    "sequential.2.module.sequential.4.conv.weight": "convolution.depthwise.weight",
    "sequential.2.module.sequential.5.weight": "convolution.batch_norm.weight",
    "sequential.2.module.sequential.5.bias": "convolution.batch_norm.bias",
    "sequential.2.module.sequential.5.running_mean": "convolution.batch_norm.running_mean",
    "sequential.2.module.sequential.5.running_var": "convolution.batch_norm.running_var",
    "sequential.2.module.sequential.5.num_batches_tracked": "convolution.batch_norm.num_batches_tracked",
    "sequential.2.module.sequential.7.conv.weight": "convolution.project.weight",
    "sequential.2.module.sequential.7.conv.bias": "convolution.project.bias",
    # Half-step feed-forward.
    "sequential.3.module.sequential.0.weight": "feed_forward_out.0.weight",
    "sequential.3.module.sequential.0.bias": "feed_forward_out.0.bias",
    "sequential.3.module.sequential.1.linear.weight": "feed_forward_out.1.weight",
    "sequential.3.module.sequential.1.linear.bias": "feed_forward_out.1.bias",
    "sequential.3.module.sequential.4.linear.weight": "feed_forward_out.4.weight",
    "sequential.3.module.sequential.4.linear.bias": "feed_forward_out.4.bias",
    # Final norm.
    "sequential.4.weight": "norm.weight",
    "sequential.4.bias": "norm.bias",
}

# These are convolutions of one tap in the released files, (out, in, 1), and Linear layers here, (out, in).
POINTWISE = ("convolution.expand.weight", "convolution.project.weight")

# Every head: two hidden layers and the output.
HEAD: KeyTable = {
    "projav1.weight": "first.0.weight",
    "projav1.bias": "first.0.bias",
    "projav2.weight": "rest.1.weight",
    "projav2.bias": "rest.1.bias",
    "out_layer.weight": "rest.2.weight",
    "out_layer.bias": "rest.2.bias",
}


def _encoder(released: str, branch: str) -> KeyTable:
    """The table of one conformer; ``conv_subsample`` is built by the released code and never called (D10b)."""
    return {
        f"{released}.encoder.conv_subsample.sequential.0.weight": None,
        f"{released}.encoder.conv_subsample.sequential.0.bias": None,
        f"{released}.encoder.conv_subsample.sequential.2.weight": None,
        f"{released}.encoder.conv_subsample.sequential.2.bias": None,
        f"{released}.encoder.input_projection.0.linear.weight": f"{branch}.input.weight",
        f"{released}.encoder.input_projection.0.linear.bias": f"{branch}.input.bias",
    } | {
        f"{released}.encoder.layers.{{}}.{old}": new and f"{branch}.encoder.blocks.{{}}.{new}"
        for old, new in BLOCK.items()
    }


def _head(name: str) -> KeyTable:
    return {old: f"{name}.{new}" for old, new in HEAD.items()}


FILES: Mapping[str, KeyTable] = {
    "final_acoustic_head.pt": {"conv_1d_a.weight": "audio.projection.weight", **_encoder("x_acoustic", "audio")},
    "final_visual_head.pt": {"conv_1d_v.weight": "visual.projection.weight", **_encoder("x_visual", "visual")},
    "final_shared_head.pt": {
        **_encoder("x_shared", "shared"),
        "layer_norm.weight": "shared.norm.weight",
        "layer_norm.bias": "shared.norm.bias",
    },
    "MLP_a_head.pt": _head("audio.head"),
    "MLP_v_head.pt": _head("visual.head"),
    "MLP_rec_a_head.pt": _head("audio.reconstruction"),
    "MLP_rec_v_head.pt": _head("visual.reconstruction"),
    "final_weights_head.pt": _head("audio_visual_head"),  # the audio-visual head, in spite of its name
    "MLP_av_head.pt": dict.fromkeys(HEAD),  # saved, but never trained and never called (D10b)
}


def expand_table(table: KeyTable, released: Collection[str]) -> dict[str, str | None]:
    """Expand a table to the number of conformer blocks in a file.

    Args:
        table: A value of `FILES`.
        released: The names found in the file.

    Returns:
        The table without ``{}``. If the file holds no block, the table has one, so that errors name its tensors.
    """
    # Count the blocks and do not take the highest number: a file may name block 999999999.
    blocks = len({match[1] for name in released if (match := re.search(r"\.layers\.([^.]*)\.", name))})
    return {
        old.format(block): new and new.format(block)
        for old, new in table.items()
        for block in range(max(1, blocks) if "{}" in old else 1)
    }
