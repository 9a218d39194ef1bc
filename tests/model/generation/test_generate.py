"""Generation against a loop without cache, batch or padding, and against transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from model.architecture.decoder import Decoder
from model.architecture.interop import save_model
from model.errors import GenerationError, TokenizerError
from model.generation.config import GenerationConfig
from model.generation.generate import MAX_PROMPTS, generate, stream
from model.tokenizer.tokenizer import Tokenizer

MakeDecoder = Callable[..., Decoder]
PROMPTS = ["The farmer", "", "An old sailor carried the long letter", "é", "Soon afterwards, the baker"]
WILD = {"temperature": 1.0, "top_p": 1.0}


def plain_greedy(model: Decoder, tokenizer: Tokenizer, prompt: str, n: int) -> tuple[list[int], list[float]]:
    """One sequence, everything computed anew for every token; the rule at the context's end spelled out."""
    limit = model.config.context_length
    window = [tokenizer.end_of_text_id, *tokenizer.encode(prompt)][-limit:]
    tokens: list[int] = []
    logprobs: list[float] = []
    with torch.no_grad():
        for _ in range(n):
            row = model(torch.tensor([window]))[0, -1].log_softmax(-1)
            token = int(row.argmax())
            if token == tokenizer.end_of_text_id:
                break
            tokens.append(token)
            logprobs.append(float(row[token]))
            if len(window) == limit:
                window = window[limit // 2 :]
            window = [*window, token]
    return tokens, logprobs


@pytest.mark.feature("GEN-01")
@pytest.mark.parametrize("n", [1, 10, 100])
def test_batch_alone_and_plain_loop_agree_within_and_beyond_the_context(
    tiny_decoder: MakeDecoder, tiny_tokenizer: Tokenizer, n: int
) -> None:
    model, config = tiny_decoder(), GenerationConfig(max_new_tokens=n, temperature=0)
    together = generate(model, tiny_tokenizer, PROMPTS, config)
    for prompt, in_batch in zip(PROMPTS, together, strict=True):
        (alone,) = generate(model, tiny_tokenizer, [prompt], config)
        tokens, logprobs = plain_greedy(model, tiny_tokenizer, prompt, n)
        assert in_batch.tokens == alone.tokens == tokens
        assert in_batch.logprobs == pytest.approx(logprobs, abs=1e-3)
        assert alone.logprobs == pytest.approx(logprobs, abs=1e-3)
        whole = tiny_tokenizer.decode(tokens)
        assert whole.removeprefix(in_batch.text) in ("", "\ufffd")  # half a character at the end is left out
        assert len(set(tokens)) > min(n, 10) / 2, "the model repeats itself: this proves little"


@pytest.mark.feature("GEN-01")
def test_prompts_longer_than_the_context_keep_their_last_tokens(
    tiny_decoder: MakeDecoder, tiny_tokenizer: Tokenizer
) -> None:
    model, config = tiny_decoder(), GenerationConfig(max_new_tokens=40, temperature=0)
    prompts = ["near the harbour " * 40, "short"]
    for prompt, found in zip(prompts, generate(model, tiny_tokenizer, prompts, config), strict=True):
        assert found.tokens == plain_greedy(model, tiny_tokenizer, prompt, 40)[0]


@pytest.mark.feature("GEN-01")
def test_greedy_equals_transformers_generate(
    tmp_path: Path, tiny_decoder: MakeDecoder, tiny_tokenizer: Tokenizer
) -> None:
    model = tiny_decoder(seed=3, context_length=128)
    save_model(model, tmp_path)
    published = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    config = GenerationConfig(max_new_tokens=60, temperature=0)
    for prompt, ours in zip(PROMPTS, generate(model, tiny_tokenizer, PROMPTS, config), strict=True):
        start = torch.tensor([[tiny_tokenizer.end_of_text_id, *tiny_tokenizer.encode(prompt)]])
        theirs = published.generate(start, attention_mask=torch.ones_like(start), max_new_tokens=60, do_sample=False)
        new = theirs[0, start.shape[1] :].tolist()
        assert ours.tokens == [token for token in new if token != tiny_tokenizer.end_of_text_id]


@pytest.mark.feature("GEN-01")
def test_logprobs_are_the_models_own_whatever_the_sampling(
    tiny_decoder: MakeDecoder, tiny_tokenizer: Tokenizer
) -> None:
    model = tiny_decoder(std=0.1, context_length=128)
    config = GenerationConfig(max_new_tokens=12, temperature=2.0, top_k=50, n_logprobs=5, seed=4)
    for prompt, found in zip(PROMPTS[:3], generate(model, tiny_tokenizer, PROMPTS[:3], config), strict=True):
        start = [tiny_tokenizer.end_of_text_id, *tiny_tokenizer.encode(prompt)]
        with torch.no_grad():
            logprobs = model(torch.tensor([start + found.tokens]))[0].log_softmax(-1)[len(start) - 1 :]
        for row, token, value, top in zip(logprobs, found.tokens, found.logprobs, found.top_logprobs, strict=False):
            assert value == pytest.approx(float(row[token]), abs=1e-4)
            assert [value for _, value in top] == pytest.approx(row.topk(5).values.tolist(), abs=1e-4)
            assert all(float(row[token]) == pytest.approx(value, abs=1e-4) for token, value in top)
        assert len(found.tokens) == len(found.logprobs) == len(found.top_logprobs)


@pytest.mark.feature("GEN-02")
def test_seed_decides_and_neighbours_do_not(tiny_decoder: MakeDecoder, tiny_tokenizer: Tokenizer) -> None:
    model, config = tiny_decoder(std=0.1), GenerationConfig(max_new_tokens=50, seed=1, **WILD)
    first = generate(model, tiny_tokenizer, PROMPTS, config)
    assert generate(model, tiny_tokenizer, PROMPTS, config) == first
    others = generate(model, tiny_tokenizer, ["x" * 30, *PROMPTS[1:2], "", "y"], config)
    assert others[1].tokens == first[1].tokens
    assert generate(model, tiny_tokenizer, PROMPTS, GenerationConfig(max_new_tokens=50, seed=2, **WILD)) != first
    twice = generate(model, tiny_tokenizer, ["same", "same"], config)
    assert twice[0].tokens != twice[1].tokens


@pytest.mark.feature("GEN-02")
def test_first_tokens_follow_the_models_distribution(tiny_decoder: MakeDecoder, tiny_tokenizer: Tokenizer) -> None:
    model, n = tiny_decoder(std=0.1), 1000
    counts = torch.zeros(tiny_tokenizer.vocab_size)
    for seed in range(5):
        config = GenerationConfig(max_new_tokens=1, top_k=8, top_p=1, temperature=1, seed=seed)
        for found in generate(model, tiny_tokenizer, ["The"] * n, config):
            counts[found.tokens[0] if found.tokens else tiny_tokenizer.end_of_text_id] += 1
    with torch.no_grad():
        start = [tiny_tokenizer.end_of_text_id, *tiny_tokenizer.encode("The")]
        top = model(torch.tensor([start]))[0, -1].softmax(-1).topk(8)
    expected = 5 * n * top.values / top.values.sum()
    assert counts[top.indices].sum() == 5 * n
    assert ((counts[top.indices] - expected) ** 2 / expected).sum() < 24.32  # 99.9 % point, 7 degrees of freedom


@pytest.mark.feature("GEN-01")
def test_text_ends_before_a_stop_string_across_tokens(tiny_decoder: MakeDecoder, tiny_tokenizer: Tokenizer) -> None:
    model = tiny_decoder(std=0.1)
    (full,) = generate(model, tiny_tokenizer, ["The"], GenerationConfig(max_new_tokens=60, seed=3, **WILD))
    for start in range(0, len(full.text) - 9, 7):
        stop = full.text[start + 3 : start + 8]
        config = GenerationConfig(max_new_tokens=60, seed=3, stop=(stop, "never there"), **WILD)
        (found,) = generate(model, tiny_tokenizer, ["The"], config)
        assert found.text == full.text[: full.text.index(stop)]
        assert found.finish_reason == "stop"
        assert found.tokens == full.tokens[: len(found.tokens)]
        assert stop in tiny_tokenizer.decode(found.tokens)


@pytest.mark.feature("GEN-01")
def test_every_way_to_finish_is_told(tiny_decoder: MakeDecoder, tiny_tokenizer: Tokenizer) -> None:
    model = tiny_decoder(std=0.1, n_layers=1)
    found = generate(model, tiny_tokenizer, [""] * 50, GenerationConfig(max_new_tokens=400, temperature=100, top_p=1))
    assert {generation.finish_reason for generation in found} == {"length", "end_of_text"}
    for generation in found:
        assert tiny_tokenizer.end_of_text_id not in generation.tokens
        assert (generation.finish_reason == "length") == (len(generation.tokens) == 400)


@pytest.mark.feature("GEN-01")
@pytest.mark.parametrize("stop", [(), ("a",), ("the", "\n")])
def test_stream_joined_is_the_generated_text(
    tiny_decoder: MakeDecoder, tiny_tokenizer: Tokenizer, stop: tuple[str, ...]
) -> None:
    model = tiny_decoder(std=0.1)
    for seed in range(4):
        config = GenerationConfig(max_new_tokens=100, seed=seed, stop=stop, **WILD)
        pieces = list(stream(model, tiny_tokenizer, "é", config))
        (whole,) = generate(model, tiny_tokenizer, ["é"], config)
        assert "".join(pieces) == whole.text
        assert all(pieces)
        assert len(pieces) > 1 or len(whole.text) < 20


def test_control_tokens_in_a_prompt_are_plain_text(tiny_decoder: MakeDecoder, tiny_tokenizer: Tokenizer) -> None:
    model, config = tiny_decoder(), GenerationConfig(max_new_tokens=8, temperature=0)
    prompt = "<|endoftext|><|im_start|>system"
    assert set(tiny_tokenizer.encode(prompt)).isdisjoint(tiny_tokenizer.special_tokens.values())
    (found,) = generate(model, tiny_tokenizer, [prompt], config)
    assert found.tokens == plain_greedy(model, tiny_tokenizer, prompt, 8)[0]


def test_no_prompts_give_no_texts(tiny_decoder: MakeDecoder, tiny_tokenizer: Tokenizer) -> None:
    assert generate(tiny_decoder(), tiny_tokenizer, [], GenerationConfig()) == []


def test_training_goes_on_after_generation(tiny_decoder: MakeDecoder, tiny_tokenizer: Tokenizer) -> None:
    model = tiny_decoder().train()
    generate(model, tiny_tokenizer, ["The", ""], GenerationConfig(max_new_tokens=40))
    pieces = stream(model, tiny_tokenizer, "The", GenerationConfig(max_new_tokens=40))
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert model.training
    tokens = torch.arange(16).reshape(2, 8)
    cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ("one string", "prompts: got one string, expected a list"),
        (["x"] * (MAX_PROMPTS + 1), f"prompts: got {MAX_PROMPTS + 1}, expected at most {MAX_PROMPTS}"),
        (["x", "y" * 10_000_001], "prompt 1: 10,000,001 characters, expected at most 10,000,000"),
    ],
)
def test_prompts_out_of_bounds_are_refused_in_one_line(
    tiny_decoder: MakeDecoder, tiny_tokenizer: Tokenizer, prompts: list[str], message: str
) -> None:
    with pytest.raises(GenerationError, match=message):
        generate(tiny_decoder(), tiny_tokenizer, prompts, GenerationConfig())


def test_prompt_that_is_no_text_is_refused_before_the_stream_starts(
    tiny_decoder: MakeDecoder, tiny_tokenizer: Tokenizer
) -> None:
    with pytest.raises(TokenizerError, match="surrogate"):
        stream(tiny_decoder(), tiny_tokenizer, "a\ud800", GenerationConfig())


def test_model_of_another_tokenizer_is_refused(tiny_tokenizer: Tokenizer) -> None:
    from model.architecture.config import ModelConfig

    model = Decoder(ModelConfig(vocab_size=100, n_layers=1, d_model=8, n_heads=1, n_kv_heads=1, d_ff=8))
    with pytest.raises(GenerationError, match="the tokenizer has 320 tokens, the model only 100"):
        generate(model, tiny_tokenizer, ["x"], GenerationConfig())


def test_damaged_weights_are_named(tiny_decoder: MakeDecoder, tiny_tokenizer: Tokenizer) -> None:
    model = tiny_decoder()
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(GenerationError, match="logits are not finite"):
        generate(model, tiny_tokenizer, ["x"], GenerationConfig())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens = 0: input should be greater than or equal to 1"),
        ({"max_new_tokens": 10**9}, "max_new_tokens = 1000000000: input should be less than or equal to 65536"),
        ({"temperature": -1}, "temperature = -1: input should be greater than or equal to 0"),
        ({"temperature": "hot"}, "temperature = 'hot': input should be a valid number"),
        ({"temperature": float("nan")}, "temperature = nan: "),
        ({"top_p": 0}, "top_p = 0: input should be greater than 0"),
        ({"stop": [""]}, "stop.0 = '': string should have at least 1 character"),
        ({"stop": ["x"] * 17}, "stop = .*: tuple should have at most 16 items"),
        ({"seed": 2**63}, "seed = 9223372036854775808: input should be less than"),
        ({"n_logprobs": 101}, "n_logprobs = 101: input should be less than or equal to 100"),
        ({"topk": 3}, "topk: no such generation setting, expected one of max_new_tokens, temperature, top_k"),
    ],
)
def test_settings_out_of_bounds_are_named_with_their_range(values: dict[str, object], message: str) -> None:
    with pytest.raises(GenerationError, match=message) as caught:
        GenerationConfig.checked(values)
    assert "\n" not in str(caught.value)
