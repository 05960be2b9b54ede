"""Tiny, randomly initialised models of the real classes, saved as their authors would."""

import json

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers


def tokenizer(folder, length):
    """Save a tokenizer of letters and a few words; a leading space belongs to its word."""
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: n for n, token in enumerate(["<pad>", "</s>", "<unk>", *letters])}
    for word in ("Ġyes", "Ġno"):
        vocabulary[word] = len(vocabulary)
    merges = [("Ġ", "y"), ("e", "s"), ("Ġy", "es"), ("Ġ", "n"), ("Ġn", "o")]
    for first, second in merges:
        vocabulary.setdefault(first + second, len(vocabulary))
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=length,
    )
    made.save_pretrained(folder)
    return len(vocabulary)


def pictures(folder, size):
    scaling = {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28], "size": size}
    (folder / "preprocessor_config.json").write_text(json.dumps(scaling))


def clip(folder):
    from transformers import CLIPConfig, CLIPModel

    words = tokenizer(folder, 40)
    text = {
        "vocab_size": words,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 40,
        "eos_token_id": 1,
        "bos_token_id": 1,
        "pad_token_id": 0,
    }
    vision = {
        "hidden_size": 48,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": 32,
        "patch_size": 8,
    }
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24))
    model.save_pretrained(folder)
    pictures(folder, 32)
    return folder


def siglip(folder):
    from transformers import SiglipConfig, SiglipModel

    words = tokenizer(folder, 40)
    shared = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    text = shared | {"vocab_size": words, "max_position_embeddings": 40}
    vision = shared | {"image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).save_pretrained(folder)
    pictures(folder, 32)
    return folder


def opt(folder):
    """A language model alone."""
    from transformers import OPTConfig, OPTModel

    words = tokenizer(folder, 200)
    config = OPTConfig(
        vocab_size=words, hidden_size=32, ffn_dim=64, num_hidden_layers=1, num_attention_heads=4
    )
    OPTModel(config).save_pretrained(folder)
    pictures(folder, 28)
    return folder


def blip2(folder, language="opt"):
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2QFormerConfig,
        Blip2VisionConfig,
        OPTConfig,
        T5Config,
    )

    words = tokenizer(folder, 200)
    vision = Blip2VisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=28,
        patch_size=14,
    )
    former = Blip2QFormerConfig(
        hidden_size=24,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        encoder_hidden_size=32,
        vocab_size=words,
    )
    opt = OPTConfig(
        vocab_size=words,
        hidden_size=40,
        word_embed_proj_dim=40,
        ffn_dim=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
    )
    t5 = T5Config(vocab_size=words, d_model=40, d_ff=64, num_layers=2, num_heads=4, d_kv=10)
    config = Blip2Config(
        vision_config=vision.to_dict(),
        qformer_config=former.to_dict(),
        text_config=(opt if language == "opt" else t5).to_dict(),
        num_query_tokens=6,
    )
    torch.manual_seed(0)
    Blip2ForConditionalGeneration(config).save_pretrained(folder)
    pictures(folder, 28)
    return folder


def sam(folder, seed=0):
    from transformers import SamConfig, SamModel

    config = SamConfig(
        vision_config={
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 128,
            "patch_size": 16,
            "output_channels": 32,
            "window_size": 4,
            "global_attn_indexes": [1],
            "mlp_dim": 64,
            "num_pos_feats": 16,
        },
        prompt_encoder_config={
            "hidden_size": 32,
            "image_size": 128,
            "patch_size": 16,
            "image_embedding_size": 8,
            "mask_input_channels": 4,
        },
        mask_decoder_config={
            "hidden_size": 32,
            "mlp_dim": 64,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 32,
        },
    )
    torch.manual_seed(seed)
    SamModel(config).save_pretrained(folder)
    return folder


def mae(folder):
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    config = ViTMAEConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
        decoder_hidden_size=24,
        decoder_intermediate_size=48,
        decoder_num_hidden_layers=1,
        decoder_num_attention_heads=4,
    )
    torch.manual_seed(0)
    ViTMAEForPreTraining(config).save_pretrained(folder)
    return folder


def clip_text(folder):
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=tokenizer(folder, 77),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        eos_token_id=1,
        bos_token_id=1,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    CLIPTextModel(config).save_pretrained(folder)
    return folder


def t5(folder):
    from transformers import T5Config, T5EncoderModel

    words = tokenizer(folder, 77)
    config = T5Config(vocab_size=words, d_model=32, d_ff=64, num_layers=2, num_heads=4, d_kv=8)
    torch.manual_seed(0)
    T5EncoderModel(config).save_pretrained(folder)
    return folder


def minilm(folder):
    from transformers import BertConfig, BertModel

    words = tokenizer(folder, 77)
    sizes = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2}
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=words, num_attention_heads=4, **sizes)).save_pretrained(folder)
    return folder


def kl(folder, **changes):
    """Stable Diffusion's and FLUX's class; 4 pixels to a cell of 6 channels."""
    from diffusers import AutoencoderKL

    config = {
        "down_block_types": ("DownEncoderBlock2D",) * 3,
        "up_block_types": ("UpDecoderBlock2D",) * 3,
        "block_out_channels": (8, 8, 8),
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "latent_channels": 6,
        "sample_size": 32,
        "scaling_factor": 0.36,
        "shift_factor": 0.12,
    }
    torch.manual_seed(0)
    AutoencoderKL(**config | changes).save_pretrained(folder)
    return folder


def tiny(folder):
    """TAESD's class; 4 pixels to a cell of 5 channels."""
    from diffusers import AutoencoderTiny

    torch.manual_seed(0)
    AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8),
        decoder_block_out_channels=(8, 8, 8),
        num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(1, 1, 1),
        latent_channels=5,
    ).save_pretrained(folder)
    return folder


def cosmos(folder):
    """Cosmos' class, which takes videos; 8 pixels to a cell of 4 channels."""
    from diffusers import AutoencoderKLCosmos

    torch.manual_seed(0)
    AutoencoderKLCosmos(
        latent_channels=4,
        encoder_block_out_channels=(8, 8, 8, 8),
        decode_block_out_channels=(8, 8, 8, 8),
        attention_resolutions=(),
        num_layers=1,
        patch_size=4,
        latents_mean=[0.5, -0.5, 0.25, 0.0] * 2,
        latents_std=[0.5, 1.0, 2.0, 1.0] * 2,
    ).save_pretrained(folder)
    return folder
