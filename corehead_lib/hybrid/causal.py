"""Causal attention of one sample on the fast kernel, with all threads at work."""

import torch
from torch.nn.functional import scaled_dot_product_attention

SHORT = 1024  # rows below which cutting a triangle is not worth the calls

Part = tuple[torch.Tensor, torch.Tensor]  # output (..., T, D), log of the softmax's denominator (..., T)


def causal(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float) -> torch.Tensor:
    """Attention of each query to its own place and all before it: (H, Tq, D).

    query: (H, Tq, D), the last Tq of Tk places; key, value: (G, Tk, D), G KV heads shared by H heads.

    The CPU kernel gives each thread the same number of rows, not the same work: with one head and two
    threads, the thread with the lower half of the triangle does three quarters. So where heads do
    not divide evenly by threads, the triangle is cut into two of half the height and a square. Keys
    before the first query make a rectangle. The parts are put together by the logarithms of their
    denominators (FlashAttention, arXiv 2205.14135).
    """
    (heads, rows, _), keys = query.shape, key.shape[1]
    plain = query.device.type != "cpu" or (torch.is_grad_enabled() and query.requires_grad)
    if rows == 1 or (rows == keys and (plain or _balanced(heads, rows))):
        return attend(query, key, value, scaling, is_causal=rows > 1)
    if plain:  # the denominators of _flash carry no gradient
        place = torch.arange(keys, device=query.device)
        return attend(query, key, value, scaling, mask=place <= place[keys - rows :, None])
    if rows < keys:
        before = keys - rows
        far = _flash(query, key[:, :before], value[:, :before], scaling)
        return _merge(far, _flash(query, key[:, before:], value[:, before:], scaling, is_causal=True))
    key, value = (x.repeat_interleave(heads // len(key), 0) if heads != len(key) else x for x in (key, value))
    half = -(-rows // 2)  # if the number of rows is odd, the two triangles share the one in the middle
    q, k, v = (x.unfold(1, half, rows - half).transpose(2, 3) for x in (query, key, value))  # (H, 2, half, D)
    output, log = _flash(q, k, v, scaling, is_causal=True)
    square = _flash(query[:, -half:], key[:, : rows - half], value[:, : rows - half], scaling)
    return torch.cat([output[:, 0, : rows - half], _merge(square, (output[:, 1], log[:, 1]))], 1)


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float,
    mask: torch.Tensor | None = None,
    is_causal: bool = False,
) -> torch.Tensor:
    """torch's scaled_dot_product_attention for one sample."""
    return scaled_dot_product_attention(
        query[None],
        key[None],
        value[None],
        attn_mask=mask,
        is_causal=is_causal,
        scale=scaling,
        enable_gqa=len(query) != len(key),
    )[0]


def _balanced(heads: int, rows: int) -> bool:
    """Whether one call keeps all threads busy until its end."""
    threads = torch.get_num_threads()
    return rows < SHORT or heads % threads == 0 or heads > 8 * threads


def _flash(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float, is_causal: bool = False
) -> Part:
    """The kernel behind scaled_dot_product_attention on CPU, which also returns its denominators."""
    single = query.ndim == 3
    output, log = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        *(x[None] if single else x for x in (query, key, value)), is_causal=is_causal, scale=scaling
    )
    return (output[0], log[0]) if single else (output, log)


def _merge(one: Part, two: Part) -> torch.Tensor:
    """Attention over the keys of both parts."""
    return torch.lerp(one[0], two[0], torch.sigmoid(two[1] - one[1])[..., None].to(one[0].dtype))
