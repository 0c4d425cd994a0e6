import pytest

torch = pytest.importorskip("torch")

from torch import nn

from morphml_core.torch import modules


def test_joints():
    a, b, c = torch.randn(3, 2, 4, 5, 5).unbind(0)
    torch.testing.assert_close(modules.Add()(a, b, c), a + b + c)
    torch.testing.assert_close(modules.Multiply()(a, b, c), a * b * c)
    assert torch.equal(modules.Concat(dim=1)(a, b), torch.cat([a, b], dim=1))


def test_zero_gives_zeros_also_of_what_is_no_number():
    x = torch.full((2, 3, 5, 5), torch.nan)
    assert torch.equal(modules.Zero()(x), torch.zeros(2, 3, 5, 5))
    assert torch.equal(modules.Zero(stride=2)(x), torch.zeros(2, 3, 3, 3))


def test_global_average_pool_of_images_tokens_and_features():
    image, tokens, features = torch.randn(2, 3, 4, 5), torch.randn(2, 6, 3), torch.randn(2, 3)
    torch.testing.assert_close(modules.GlobalAveragePool((2, 3))(image), nn.AdaptiveAvgPool2d(1)(image).flatten(1))
    torch.testing.assert_close(modules.GlobalAveragePool((1,))(tokens), tokens.mean(1))
    assert torch.equal(modules.GlobalAveragePool(())(features), features)


def test_channel_norm_normalises_each_pixel():
    x = torch.randn(2, 6, 3, 4) * 5 + 1
    norm = modules.ChannelNorm(6)
    out = norm(x)
    torch.testing.assert_close(out.mean(dim=1), torch.zeros(2, 3, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(dim=1, unbiased=False), torch.ones(2, 3, 4), atol=1e-3, rtol=0)
    torch.testing.assert_close(out[:, :, 1, 2], nn.functional.layer_norm(x[:, :, 1, 2], (6,)))


def test_separable_conv_is_a_full_convolution_of_rank_one_kernels():
    conv = modules.SeparableConv(3, 5, kernel=3, stride=2, dilation=2)
    x = torch.randn(2, 3, 9, 9)
    kernel = conv.pointwise.weight * conv.depthwise.weight.transpose(0, 1)
    expected = nn.functional.conv2d(x, kernel, stride=2, padding=2, dilation=2)
    torch.testing.assert_close(conv(x), expected, atol=1e-5, rtol=1e-4)


def test_squeeze_excite_gates_each_channel_between_zero_and_one():
    x = torch.rand(2, 8, 4, 4) + 0.1
    gates = modules.SqueezeExcite(8, 2)(x) / x
    assert ((gates > 0) & (gates < 1)).all()
    torch.testing.assert_close(gates, gates[:, :, :1, :1].expand_as(gates))


def test_self_attention_is_torchs_own():
    x = torch.randn(2, 7, 12)
    ours, theirs = modules.SelfAttention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.in_proj_bias.copy_(ours.qkv.bias)
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0], atol=1e-5, rtol=1e-4)


def test_self_attention_over_pixels_is_that_over_tokens():
    attention = modules.SelfAttention(8, 2)
    image = torch.randn(2, 8, 3, 5)
    tokens = attention(image.flatten(2).transpose(1, 2))
    torch.testing.assert_close(attention(image), tokens.transpose(1, 2).reshape(2, 8, 3, 5))
