"""The kinds of weight file that are told apart, each with a label and what it is for."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What a file is; the value is the stable name, :attr:`label` and :attr:`purpose` are for people."""

    label: str
    purpose: str

    def __new__(cls, value: str, label: str, purpose: str) -> Kind:
        kind = str.__new__(cls, value)
        kind._value_, kind.label, kind.purpose = value, label, purpose
        return kind

    SVC = "svc", "so-vits-svc generator", "sings in one of its trained voices (G_*.pth)"
    SVC_DISCRIMINATOR = "svc-discriminator", "VITS discriminator", "needed to go on training (D_*.pth)"
    SVC_DIFFUSION = "svc-diffusion", "so-vits-svc diffusion model", "shallow diffusion over a converted mel"
    NSF_HIFIGAN = "nsf-hifigan", "NSF-HiFiGAN vocoder", "mel and F0 to samples; enhancer and diffusion need it"
    RMVPE = "rmvpe", "RMVPE pitch tracker", "F0 of singing, also with accompaniment"
    FCPE = "fcpe", "FCPE pitch tracker", "fast F0"
    CREPE = "crepe", "CREPE pitch tracker", "F0 of a single voice"
    CONTENTVEC = "contentvec", "ContentVec / HuBERT base (fairseq)", "content features vec768l12 and vec256l9"
    CNHUBERT_LARGE = "cnhubert-large", "Chinese HuBERT large (fairseq)", "content features cnhubertlarge"
    HUBERT_SOFT = "hubert-soft", "HuBERT-Soft", "content features hubertsoft"
    DPHUBERT = "dphubert", "DPHuBERT", "content features dphubert"
    WAVLM = "wavlm", "WavLM", "content features wavlmbase+"
    WHISPER = "whisper", "Whisper", "content features whisper-ppg; transcription"
    KMEANS = "kmeans", "k-means centres of content features", "pulls content towards the trained speaker"
    RETRIEVAL = "retrieval", "retrieval index of content features", "pulls content towards the trained speaker"
    GSV_S1 = "gsv-s1", "GPT-SoVITS s1 (text to semantic tokens)", "first half of GPT-SoVITS speech (.ckpt)"
    GSV_S2 = "gsv-s2", "GPT-SoVITS s2 (semantic tokens to voice)", "second half of GPT-SoVITS speech (.pth)"
    GSV_S2_LORA = "gsv-s2-lora", "GPT-SoVITS s2 LoRA", "a voice as a difference to the base model of its version"
    GSV_S2_DISCRIMINATOR = "gsv-s2-discriminator", "GPT-SoVITS s2 discriminator", "needed to go on training (s2D*.pth)"
    BIGVGAN = "bigvgan", "BigVGAN vocoder", "mel to samples for GPT-SoVITS v3"
    HIFIGAN = "hifigan", "HiFi-GAN vocoder", "mel to samples for GPT-SoVITS v4"
    ERES2NETV2 = "eres2netv2", "ERes2NetV2 speaker encoder", "speaker vector for GPT-SoVITS v2Pro and v2ProPlus"
    AP_BWE = "ap-bwe", "AP-BWE bandwidth extension", "24 kHz to 48 kHz"
    HF_BERT = "hf-bert", "BERT (transformers names)", "text features for Chinese in GPT-SoVITS"
    HF_HUBERT = "hf-hubert", "HuBERT (transformers names)", "semantic features for GPT-SoVITS"
    GE2E = "ge2e", "GE2E speaker encoder", "speaker similarity"
    RVC = "rvc", "RVC model", "a voice of another project; it is recognised but cannot be used here"
    ONNX = "onnx", "ONNX model", "runs in onnxruntime"
    ARRAYS = "arrays", "plain arrays", "features or other numbers"
    UNKNOWN = "unknown", "unknown tensors", "the names fit no kind that is known here"
