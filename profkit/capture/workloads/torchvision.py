"""torchvision's models by name: classification, detection and segmentation; the same from torchvision 0.14 to 0.29."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from profkit.capture.workloads.order import Known, WorkloadOptions, WorkloadOrder

_CLASSIFICATION = (
    "alexnet convnext_base convnext_large convnext_small convnext_tiny densenet121 densenet161 "
    "densenet169 densenet201 efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 "
    "efficientnet_b4 efficientnet_b5 efficientnet_b6 efficientnet_b7 efficientnet_v2_l efficientnet_v2_m "
    "efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3 "
    "mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_16gf regnet_x_1_6gf regnet_x_32gf "
    "regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf regnet_y_128gf regnet_y_16gf "
    "regnet_y_1_6gf regnet_y_32gf regnet_y_3_2gf regnet_y_400mf regnet_y_800mf regnet_y_8gf resnet101 "
    "resnet152 resnet18 resnet34 resnet50 resnext101_32x8d resnext101_64x4d resnext50_32x4d "
    "shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0 squeezenet1_0 "
    "squeezenet1_1 swin_b swin_s swin_t swin_v2_b swin_v2_s swin_v2_t vgg11 vgg11_bn vgg13 vgg13_bn vgg16 "
    "vgg16_bn vgg19 vgg19_bn vit_b_16 vit_b_32 vit_h_14 vit_l_16 vit_l_32 wide_resnet101_2 "
    "wide_resnet50_2"
).split()

# side (pixels) of the square input that a model's published weights were trained for, if it is not 224
_SIDES = {
    "efficientnet_b1": 240,
    "efficientnet_b2": 288,
    "efficientnet_b3": 300,
    "efficientnet_b4": 380,
    "efficientnet_b5": 456,
    "efficientnet_b6": 528,
    "efficientnet_b7": 600,
    "efficientnet_v2_l": 480,
    "efficientnet_v2_m": 480,
    "efficientnet_v2_s": 384,
    "inception_v3": 299,
    "regnet_y_128gf": 384,
    "swin_v2_b": 256,
    "swin_v2_s": 256,
    "swin_v2_t": 256,
}

_DETECTION = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": "object-detection",
    "fasterrcnn_mobilenet_v3_large_fpn": "object-detection",
    "fasterrcnn_resnet50_fpn": "object-detection",
    "fasterrcnn_resnet50_fpn_v2": "object-detection",
    "fcos_resnet50_fpn": "object-detection",
    "keypointrcnn_resnet50_fpn": "keypoint-detection",
    "maskrcnn_resnet50_fpn": "instance-segmentation",
    "maskrcnn_resnet50_fpn_v2": "instance-segmentation",
    "retinanet_resnet50_fpn": "object-detection",
    "retinanet_resnet50_fpn_v2": "object-detection",
    "ssd300_vgg16": "object-detection",
    "ssdlite320_mobilenet_v3_large": "object-detection",
}
_SEGMENTATION = (
    "deeplabv3_mobilenet_v3_large deeplabv3_resnet101 deeplabv3_resnet50 fcn_resnet101 fcn_resnet50 "
    "lraspp_mobilenet_v3_large"
).split()
_PHOTOGRAPH = (480, 640)  # pixels: the usual size in COCO, for which detection models are trained; they resize it
_FIXED = {"ssd300_vgg16": (300, 300), "ssdlite320_mobilenet_v3_large": (320, 320)}
_SEGMENTED = (520, 520)  # pixels: at which torchvision evaluates its segmentation weights


class _Model(NamedTuple):
    """A model: its task, the module of torchvision.models that has it (empty: itself), its input in pixels."""

    task: str
    module: str
    image_size: tuple[int, int]


MODELS = {
    **{name: _Model("image-classification", "", (_SIDES.get(name, 224),) * 2) for name in _CLASSIFICATION},
    **{name: _Model(task, "detection", _FIXED.get(name, _PHOTOGRAPH)) for name, task in _DETECTION.items()},
    **{name: _Model("semantic-segmentation", "segmentation", _SEGMENTED) for name in _SEGMENTATION},
}


def image_size(name: str, weights: str) -> tuple[int, int]:
    """Return height and width of the input images in pixels."""
    if name == "vit_h_14" and weights == "pretrained":
        return 518, 518  # the size of the position embeddings in its weights; the random model is built for 224
    return MODELS[name].image_size


def known() -> Iterator[Known]:
    """Yield the models."""
    return (Known(name, "torchvision", model.task) for name, model in MODELS.items())


def resolve(word: str, options: WorkloadOptions) -> WorkloadOrder | None:
    """Return the model that ``word`` names, or None."""
    if word not in MODELS:
        return None
    model = MODELS[word]
    details = {"module": model.module, "image_size": list(image_size(word, options.weights))}
    return WorkloadOrder(word, "torchvision", model.task, options.batch, options.weights, options.seed, details=details)
