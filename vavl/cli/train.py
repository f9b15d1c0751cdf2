"""``vavl-train``: from a corpus to features, from features to a checkpoint, from checkpoints to a report."""

from vavl.cli.compare import compare
from vavl.cli.encoders import audio_encoder, face_encoder
from vavl.cli.evaluate import evaluate
from vavl.cli.features import features
from vavl.cli.fit import fit
from vavl.cli.import_released import import_released
from vavl.cli.settings import with_settings
from vavl_runtime.cli.app import new_group, run_app

app = new_group("Train VAVL and its baselines, and measure them on unseen speakers.", extra="train")
app.command(
    epilog="Example: vavl-train audio-encoder crema-d corpora/crema-d --raw raw-sound --partition 1 -o my-audio-encoder"
)(with_settings(audio_encoder))
app.command(
    epilog="Example: vavl-train face-encoder crema-d corpora/crema-d --raw raw-faces --partition 1 -o my-face-encoder"
)(with_settings(face_encoder))
app.command(epilog="Example: vavl-train features javanese corpora/javanese -o features")(with_settings(features))
app.command(epilog="Example: vavl-train fit javanese corpora/javanese --features features --preset light -o run1")(
    with_settings(fit)
)
app.command(epilog="Example: vavl-train evaluate run1 run2 run3 run4 run5 -o report")(evaluate)
app.command(epilog="Example: vavl-train compare crema-d corpora/crema-d --features features -o comparison")(
    with_settings(compare)
)
app.command(
    epilog="Example: vavl-train import-released crema-d-p1 --task classification --audio-encoder final_wav2vec.pt "
    "--face-encoder enet_b2_8.pt -o checkpoint"
)(import_released)


def main() -> None:
    """Run the command line."""
    run_app(app)


if __name__ == "__main__":
    main()
