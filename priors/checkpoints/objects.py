"""The names that a StyleGAN2 file may mention, and the inert value that each becomes.

The table is an allow-list. No entry leads to a function of the file or of a library. The names are
those in files of torch, of NVIDIA's PyTorch and TensorFlow code, and of their descendants.
"""

import io
import struct
from collections.abc import Callable, Sequence
from typing import Any

import torch

from invprob.errors import GeneratorFileError
from invprob.priors.checkpoints.pickles import Budget, Build, Global, Record, add_items
from invprob.priors.checkpoints.spans import Span, Storage, TensorRef

STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
NUMPY = {
    "f2": torch.float16,
    "f4": torch.float32,
    "f8": torch.float64,
    "i4": torch.int32,
    "i8": torch.int64,
    "u1": torch.uint8,
    "b1": torch.bool,
}
NETWORK = "torch_utils.persistence._reconstruct_persistent_obj"
TF_NETWORK = "dnnlib.tflib.network.Network"
ARRAY = "numpy.ndarray"


def table(budget: Budget, nested: Callable[[Span], Storage]) -> dict[str, Build | None]:
    """The allow-list: each name with the function that makes its value.

    Args:
        budget: What the pickle may still use.
        nested: Reads a torch file inside the file, which holds one storage.

    Returns:
        Functions by name; None for a name that must not be called.
    """

    def dictionary(pairs: Sequence[Any] = ()) -> dict[Any, Any]:
        """A dictionary of pairs; older Python wrote those of an OrderedDict as a list of lists."""
        if not isinstance(pairs, (list, tuple)) or not all(
            isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs
        ):
            raise GeneratorFileError("damaged: a dictionary that is not a list of pairs")
        budget.spend(steps=len(pairs))
        made: dict[Any, Any] = {}
        add_items(made, pairs)
        return made

    def encode(text: Any, encoding: Any) -> Span:
        """Bytes that protocol 2 wrote as text."""
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise GeneratorFileError("the pickle encodes text in another way than latin1")
        budget.spend(bytes=len(text))
        return _bytes_of(text)

    names: dict[str, Build | None] = {
        "collections.OrderedDict": dictionary,
        "dnnlib.util.EasyDict": dictionary,
        "builtins.set": _inert("builtins.set"),
        "__builtin__.set": _inert("builtins.set"),
        "argparse.Namespace": _inert("argparse.Namespace"),
        "pathlib.PosixPath": _inert("pathlib.PosixPath"),
        "torch.device": _inert("torch.device"),
        "torch.Size": _inert("torch.Size"),
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_parameter": _parameter,
        "torch.storage._load_from_bytes": lambda content: nested(_span(content)),
        "_codecs.encode": encode,
        "numpy.dtype": _inert("numpy.dtype"),
        "numpy.ndarray": None,
        NETWORK: _inert(NETWORK),
        TF_NETWORK: _inert(TF_NETWORK),
        **{f"torch.{name}": None for name in STORAGES},
    }
    for core in ("numpy.core", "numpy._core"):
        names[f"{core}.multiarray._reconstruct"] = lambda *_: Record(ARRAY)
        names[f"{core}.multiarray.scalar"] = _scalar
        names[f"{core}.numeric._frombuffer"] = _array_of_buffer
    return names


def storage(kind: Any, count: Any) -> Storage:
    """A storage that is still to be found, from the class and the count of a persistent id."""
    name = kind.name.removeprefix("torch.") if isinstance(kind, Global) else ""
    if name not in STORAGES or type(count) is not int or count < 0:
        raise GeneratorFileError("damaged: a tensor's storage is not described as torch does")
    return Storage(STORAGES[name], count)


def is_array(value: Any) -> bool:
    """Whether a value stands for a NumPy array, of numbers or of objects."""
    if not (isinstance(value, Record) and value.name == ARRAY):
        return False
    return isinstance(value.state, tuple) and len(value.state) == 5


def array(value: Any) -> TensorRef | None:
    """The place of a NumPy array in the file; None if `value` is not an array of numbers."""
    if not is_array(value):
        return None
    _, shape, kind, fortran, content = value.state
    dtype = _dtype(kind)
    if dtype is None or not isinstance(shape, tuple) or not all(type(n) is int for n in shape):
        return None
    span = _span(content)
    order = range(len(shape)) if fortran else reversed(range(len(shape)))
    stride, step = [0] * len(shape), 1
    for axis in order:
        stride[axis], step = step, step * shape[axis]
    held = Storage(dtype, span.length // dtype.itemsize, span)
    return TensorRef(held, 0, shape, tuple(stride))


def plain(value: Any) -> Any:
    """A number, text, None or a short list of such; `...` for everything else."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)) and len(value) <= 64:
        parts = [plain(item) for item in value if not isinstance(item, (list, tuple))]
        return parts if len(parts) == len(value) and ... not in parts else ...
    return ...


def _inert(name: str) -> Build:
    return lambda *arguments: Record(name, arguments)


def _tensor(held: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> TensorRef:
    if not isinstance(held, Storage) or type(shape) is not tuple or type(stride) is not tuple:
        raise GeneratorFileError("damaged: a tensor is not described as torch does")
    return TensorRef(held, offset, shape, stride)


def _parameter(tensor: Any, *_: Any) -> TensorRef:
    if not isinstance(tensor, TensorRef):
        raise GeneratorFileError("damaged: a parameter that is not a tensor")
    return tensor


def _span(content: Any) -> Span:
    if isinstance(content, str):  # bytes of Python 2
        content = _bytes_of(content)
    if not isinstance(content, Span):
        raise GeneratorFileError("damaged: something else stands where bytes are expected")
    return content


def _array_of_buffer(content: Any, kind: Any, shape: Any, order: Any) -> Record:
    """An array of protocol 5, in the form of the older protocols."""
    return Record(ARRAY, (), (1, shape, kind, order == "F", content))


def _bytes_of(text: str) -> Span:
    content = text.encode("latin-1")
    return Span(io.BytesIO(content), 0, len(content))


def _dtype(kind: Any) -> torch.dtype | None:
    """The type of a `numpy.dtype` record; None for other than little-endian numbers."""
    if not (isinstance(kind, Record) and kind.name == "numpy.dtype" and kind.arguments):
        return None
    order = kind.state[1] if isinstance(kind.state, tuple) and len(kind.state) > 1 else "<"
    name = kind.arguments[0]
    return NUMPY.get(name) if isinstance(name, str) and order in ("<", "|", "=") else None


def _scalar(kind: Any, content: Any = None) -> float:
    dtype = _dtype(kind)
    layout = {torch.float64: "<d", torch.float32: "<f", torch.int64: "<q", torch.int32: "<i"}
    if dtype not in layout:
        raise GeneratorFileError("damaged: a NumPy number of an unusual type")
    (number,) = struct.unpack(layout[dtype], _span(content).read())
    return number  # type: ignore[no-any-return]
