import pytest
import torch
from monai.networks.nets import DynUNet, SwinUNETR
from torch.nn.functional import mse_loss

from medkd.networks import TwoTaskNetwork

ENCODER = ["downsamples.0", "bottleneck"]


@pytest.fixture(params=[(16, 24), (8, 16, 12)], ids=["2d", "3d"])
def image(request):
    return torch.randn(2, 2, *request.param, generator=torch.Generator().manual_seed(0))


def unet(image):
    torch.manual_seed(0)
    return DynUNet(
        image.dim() - 2, image.shape[1], 3, [3] * 3, [1, 2, 2], [2, 2], filters=[4, 6, 8]
    )


def two_tasks(image, encoder=ENCODER):
    network = unet(image)
    return TwoTaskNetwork(network, encoder, (1, *image.shape[1:]))


def test_in_training_it_gives_logits_and_the_error_of_the_image_given_back(image):
    network = two_tasks(image).train()
    given_back = []
    network.decoder.register_forward_hook(lambda *arguments: given_back.append(arguments[-1]))
    logits, terms = network(image)
    torch.testing.assert_close(logits, network.taps.network(image))
    assert list(terms) == ["reconstruction"]
    assert given_back[0].shape == image.shape
    expected = ((given_back[0] - image) ** 2).mean()
    torch.testing.assert_close(terms["reconstruction"], expected)


def test_in_evaluation_the_network_alone_answers(image):
    network = two_tasks(image).eval()
    network.decoder.register_forward_hook(lambda *_: pytest.fail("the second decoder ran"))
    torch.testing.assert_close(network(image), network.taps.network(image))


def test_the_second_task_moves_the_encoder_and_not_the_first_decoder(image):
    network = two_tasks(image)
    network(image)[1]["reconstruction"].backward()
    unet = network.taps.network
    assert unet.input_block.conv1.conv.weight.grad.abs().sum() > 0
    assert unet.bottleneck.conv1.conv.weight.grad.abs().sum() > 0
    assert unet.upsamples[0].conv_block.conv1.conv.weight.grad is None
    assert network.decoder.last.weight.grad.abs().sum() > 0


def test_the_deepest_feature_comes_first_in_whichever_order_they_are_named(image):
    for encoder in (ENCODER, ENCODER[::-1]):
        assert two_tasks(image, encoder).encoder == ["bottleneck", "downsamples.0"]


def test_learns_to_give_back(image):
    network = two_tasks(image)
    # Noise cannot pass the bottleneck; what is the same over some voxels can.
    image = image.unflatten(-1, (-1, 4)).mean(-1).repeat_interleave(4, dim=-1)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(40):
        loss = network(image)[1]["reconstruction"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * mse_loss(torch.zeros_like(image), image).item() < losses[0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_under_autocast_the_error_is_taken_in_float32(image, dtype):
    network = two_tasks(image)
    exact = network(image)[1]["reconstruction"].item()
    with torch.autocast("cpu", dtype=dtype):
        found = network(image)[1]["reconstruction"]
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("size", [(32, 64), (32, 32, 64)], ids=["2d", "3d"])
def test_a_transformer_will_do(size):
    network = SwinUNETR(1, 2, feature_size=12, spatial_dims=len(size))
    encoder = ["encoder10", "encoder4", "encoder3", "encoder2"]
    logits, terms = TwoTaskNetwork(network, encoder, (1, 1, *size))(torch.randn(1, 1, *size))
    assert logits.shape == (1, 2, *size)
    assert terms["reconstruction"].item() > 0


@pytest.mark.parametrize(
    ("encoder", "match"),
    [
        (["down_1"], "there is no 'down_1'"),
        ([], "modules that give one feature map a run, but got 'none'"),
        (["bottleneck", "upsamples"], "but got 'upsamples'; there are input_block"),
    ],
)
def test_rejects(encoder, match, image):
    with pytest.raises(ValueError, match=match):
        two_tasks(image, encoder)
