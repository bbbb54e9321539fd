"""Language models from Hugging Face's transformers: imported as they come, and the same graph from their ONNX export"""
import logging, time, warnings
from collections import Counter

import pytest, torch

from autobuild import Architecture

transformers = pytest.importorskip('transformers', reason="pip install transformers for these tests")
pytestmark = pytest.mark.filterwarnings('ignore') # Those of torch and transformers, while they export

sizes = dict(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64)
vision = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=32)
tokens, image = torch.zeros(1, 8, dtype=torch.long), torch.zeros(1, 3, 32, 32)
both = dict(input_ids=tokens, decoder_input_ids=tokens[:,:5])

families = dict( # Class of the model, its configuration, example input, class of its repeated block
    llama=('LlamaForCausalLM', sizes, tokens, 'LlamaDecoderLayer'),
    qwen2=('Qwen2ForCausalLM', sizes, tokens, 'Qwen2DecoderLayer'),
    qwen3=('Qwen3ForCausalLM', dict(sizes, head_dim=8), tokens, 'Qwen3DecoderLayer'),
    mistral=('MistralForCausalLM', sizes, tokens, 'MistralDecoderLayer'),
    mixtral=('MixtralForCausalLM', dict(sizes, num_local_experts=4), tokens, 'MixtralDecoderLayer'),
    gemma=('GemmaForCausalLM', dict(sizes, head_dim=8), tokens, 'GemmaDecoderLayer'),
    gemma2=('Gemma2ForCausalLM', dict(sizes, head_dim=8), tokens, 'Gemma2DecoderLayer'),
    gpt2=('GPT2LMHeadModel', dict(vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=8), tokens, 'GPT2Block'),
    t5=('T5ForConditionalGeneration', dict(vocab_size=64, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4),
        both, 'T5Block'),
    vit=('ViTForImageClassification', dict(vision, patch_size=8), image, 'ViTLayer'),
    mamba=('MambaForCausalLM', dict(vocab_size=64, hidden_size=32, num_hidden_layers=2, state_size=8), tokens,
           'MambaBlock'),
    resnet=('ResNetForImageClassification', dict(embedding_size=8, hidden_sizes=[8, 16], depths=[2, 2],
                                                 layer_type='basic'), image, 'ResNetBasicLayer'),
    regnet=('RegNetForImageClassification', dict(embedding_size=8, hidden_sizes=[8, 16], depths=[2, 2],
                                                 groups_width=8), image, 'RegNetYLayer'),
    swin=('SwinForImageClassification', dict(image_size=32, patch_size=2, embed_dim=16, depths=[2, 2],
                                             num_heads=[2, 4], window_size=4), image, 'SwinLayer'))

deepseek = dict(sizes, num_key_value_heads=4, q_lora_rank=16, kv_lora_rank=16, qk_rope_head_dim=8, qk_nope_head_dim=8,
                v_head_dim=8, n_routed_experts=4, num_experts_per_tok=2, n_group=2, topk_group=1,
                moe_intermediate_size=16, first_k_dense_replace=1, n_shared_experts=1)
speech = dict(input_features=torch.zeros(1, 8, 32), decoder_input_ids=tokens[:,:5])
further = dict( # Class of the model, its configuration, example input, all operations
    deepseek=('DeepseekV3ForCausalLM', deepseek, tokens, 'embedding rms_norm linear rotary_embedding cat copy '
              'scaled_dot_product_attention add swiglu router experts'),
    gpt_oss=('GptOssForCausalLM', dict(sizes, num_local_experts=4, head_dim=8), tokens, 'embedding rms_norm linear '
             'rotary_embedding scaled_dot_product_attention add router experts'),
    falcon=('FalconForCausalLM', dict(vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=4),
            tokens, 'embedding layer_norm linear index rotary_embedding scaled_dot_product_attention gelu add'),
    clip=('CLIPVisionModel', dict(vision, patch_size=8), image, 'conv2d cat add layer_norm linear '
          'scaled_dot_product_attention gelu'),
    whisper=('WhisperForConditionalGeneration', dict(vocab_size=64, d_model=32, encoder_layers=1, decoder_layers=1,
             encoder_attention_heads=4, decoder_attention_heads=4, num_mel_bins=8, max_source_positions=16,
             max_target_positions=16, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1), speech,
             'conv1d gelu add layer_norm linear mul scaled_dot_product_attention embedding'))

parts = dict(llama='rms_norm rotary_embedding scaled_dot_product_attention swiglu', mixtral='router experts',
             gemma='geglu', gpt2='layer_norm gelu', mamba='selective_scan', t5='rms_norm', vit='gelu')
written_out = {'rsqrt', 'sqrt', 'pow', 'neg', 'cos', 'sin', 'softmax', 'topk', 'sort', 'histc', 'cumsum', 'fill',
               'dropout', 'index', 'index_put', 'exp'}

def model(family):
    "A model with random weights"
    name, config, example, _ = families[family]
    kind = getattr(transformers, name)
    torch.manual_seed(0)
    return kind(kind.config_class(**config)), example

@pytest.mark.parametrize('family', families)
def test_a_model_is_imported_as_it_comes(family):
    module, example = model(family)
    cached = getattr(module.config, 'use_cache', None)
    arch = Architecture.from_torch(module, example)
    assert getattr(module.config, 'use_cache', None) is cached, "the configuration is as it was"
    assert module.training is False or all(m.training for m in module.modules())
    operations = set(arch.nodes.op)
    assert not operations & written_out and not any(o.startswith('other:') for o in operations), operations
    assert set(parts.get(family, '').split()) <= operations
    if family not in ('resnet', 'regnet'): # Their batch normalisation is folded
        assert arch.nodes.params.sum()==sum(p.numel() for p in module.parameters())

@pytest.mark.parametrize('family', further)
def test_operations_are_what_a_person_would_name(family):
    name, config, example, operations = further[family]
    kind = getattr(transformers, name)
    module = kind(kind.config_class(**config))
    arch = Architecture.from_torch(module, example)
    assert set(arch.nodes.op)==set(operations.split())
    assert arch.nodes.params.sum()==sum(p.numel() for p in module.parameters())

@pytest.mark.parametrize('family', ['llama', 'mixtral', 'gpt2', 't5', 'mamba', 'resnet', 'regnet', 'swin'])
def test_blocks_are_what_repeats_in_a_list(family):
    module, example = model(family)
    blocks = Architecture.from_torch(module, example, detail='blocks').nodes
    kinds = {o for o in blocks.op if o[0].isupper()}
    assert kinds=={families[family][3]}
    assert (blocks.op==families[family][3]).sum()==(2 if family not in ('t5', 'resnet', 'regnet', 'swin') else 4)

def test_seven_billion_parameters_need_no_memory():
    start = time.perf_counter()
    with torch.device('meta'):
        module = transformers.LlamaForCausalLM(transformers.LlamaConfig())
        example = torch.zeros(1, 64, dtype=torch.long)
    arch = Architecture.from_torch(module, example)
    assert arch.nodes.params.sum()==6_738_415_616 and len(arch.nodes)==3+32*15
    assert time.perf_counter()-start<60

def exported(module, example, path):
    "The ONNX file of a module whose weights differ from each other"
    for tensor in module.parameters(): tensor.data.uniform_(.1, 1)
    for part in module.modules():
        if hasattr(getattr(part, 'config', None), 'use_cache'): part.config.use_cache = False
    logging.disable(logging.WARNING)
    torch.onnx.export(module.eval(), (example,), path, dynamo=True, verbose=False, external_data=False)
    logging.disable(logging.NOTSET)

@pytest.mark.parametrize('family', ['llama', 'gemma', 'gpt2', 'mamba', 'vit'])
def test_the_same_graph_from_onnx(family, tmp_path):
    pytest.importorskip('onnxscript')
    module, example = model(family)
    arch = Architecture.from_torch(module, example)
    exported(module, example, tmp_path/'net.onnx')
    again = Architecture.from_onnx(tmp_path/'net.onnx')
    assert Counter(again.nodes.op)==Counter(arch.nodes.op)
    assert again==arch
    blocks = Architecture.from_onnx(tmp_path/'net.onnx', detail='blocks')
    assert Counter(blocks.nodes.op)==Counter(Architecture.from_torch(module, example, detail='blocks').nodes.op)

def test_diffusion_models_are_imported_as_they_come():
    "A U-Net and a diffusion transformer of diffusers"
    diffusers = pytest.importorskip('diffusers', reason='pip install diffusers for this test')
    down, up = ['CrossAttnDownBlock2D', 'DownBlock2D'], ['UpBlock2D', 'CrossAttnUpBlock2D']
    unet = diffusers.UNet2DConditionModel(16, block_out_channels=[32, 64], layers_per_block=1, down_block_types=down,
                                          up_block_types=up, cross_attention_dim=32, norm_num_groups=8)
    dit = diffusers.DiTTransformer2DModel(2, 16, 4, num_layers=3, sample_size=16, num_embeds_ada_norm=10)
    picture, time_step = torch.zeros(1, 4, 16, 16), torch.tensor([5])
    found = {
        'ResnetBlock2D': (unet, (picture, time_step, torch.zeros(1, 7, 32))),
        'BasicTransformerBlock': (dit, dict(hidden_states=picture, timestep=time_step, class_labels=torch.tensor([1])))}
    for block,(model, example) in found.items():
        arch = Architecture.from_torch(model.eval(), example)
        assert {'scaled_dot_product_attention', 'linear', 'silu'}<={row['op'] for row in arch.rows}
        blocks = Counter(row['op'] for row in Architecture.from_torch(model, example, detail='blocks').rows)
        assert blocks[block]>=3
