"""A loaded diffusers pipeline: loading it quietly and offline, and one picture at a time from it.

Only this module and `_prompts` import torch and diffusers; both run in a worker's thread.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from limner_providers._diffusers_latents import Keeper, Start, decode_latents, make_start, noise_like
from limner_providers._diffusers_quiet import quiet
from limner_providers._diffusers_settings import Settings, is_inpainting_model
from limner_providers._model_source import ModelSource
from limner_providers._schedulers import scheduler_choice
from limner_providers.errors import EngineUnavailable, GenerationFailed, ModelUnavailable

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from limner_providers._diffusers_canvas import Canvas


class Pipeline:
    """One model in memory.

    Attributes:
        pipe: the diffusers pipeline.
        computing: what decides the last bits of its pixels, as text: device, dtype, threads, versions of libraries.
    """

    def __init__(self, pipe: Any, computing: dict[str, str]) -> None:
        self.pipe = pipe
        self.computing = computing
        self._from_picture: Any = None
        self._scheduler_name = type(pipe.scheduler).__name__
        self._own_scheduler: tuple[Any, Any] = (type(pipe.scheduler), pipe.scheduler.config)

    @property
    def scheduler_name(self) -> str:
        """Class and options of the scheduler that was used last, as text."""
        return self._scheduler_name

    def _set_scheduler(self, pipe: Any, name: str | None) -> None:
        """Give `pipe` a fresh scheduler (None: the model's own): one keeps no state for the next picture.

        Raises:
            EngineUnavailable: it needs a library that is not installed.
        """
        import diffusers

        kind, config = self._own_scheduler
        options: dict[str, Any] = {}
        if name is not None:
            choice = scheduler_choice(name)
            kind, options = getattr(diffusers, choice.class_name), choice.options
        try:
            pipe.scheduler = kind.from_config(config, **options)
        except ImportError as error:
            remedy = f"Run: pip install {error.name or 'scipy'}, or choose another scheduler."
            raise EngineUnavailable(f"scheduler {name} needs a library that is missing.", remedy=remedy) from error
        shown = ", ".join(f"{key}={value}" for key, value in sorted(options.items()))
        self._scheduler_name = f"{kind.__name__}({shown})" if shown else kind.__name__

    def start(self, canvas: Canvas, settings: Settings) -> Start:
        """Encode a canvas, once for all pictures of a request.

        Raises:
            GenerationFailed: the engine raised.
            EngineUnavailable: out of memory.
        """
        with quiet, engine_errors():
            self._set_tiling(settings.tiled)
            return make_start(self.pipe, canvas)

    def draw(
        self,
        conditioning: dict[str, Any],
        settings: Settings,
        seed: int,
        on_step: Callable[[int], None],
        start: Start | None = None,
    ) -> NDArray[np.uint8]:
        """Make one picture: uint8 RGB of shape (height, width, 3), as large as the settings' canvas.

        Args:
            conditioning: the pipeline's arguments for prompt and negative prompt.
            settings: size, steps, guidance, scheduler, strength.
            seed: of this picture's own generator, on the CPU, so that a GPU starts from the same noise.
            on_step: told how many of the effective steps are done; what it raises ends the work.
            start: what it starts from; None: noise alone.

        Raises:
            GenerationFailed: the numbers overflowed, or the engine raised.
            EngineUnavailable: out of memory.
        """
        import torch

        with quiet, engine_errors():
            pipe, arguments = self._call(settings, start)
            self._set_scheduler(pipe, settings.scheduler)
            self._set_tiling(settings.tiled)
            keeper = (
                None if start is None or start.shown is not None else Keeper(start, noise_like(start.latents, seed))
            )
            latents = pipe(
                **conditioning,
                **arguments,
                num_inference_steps=settings.num_inference_steps,
                guidance_scale=settings.guidance_scale,
                generator=[torch.Generator("cpu").manual_seed(seed)],
                output_type="latent",
                callback_on_step_end=_after_step(settings.effective_steps, on_step, keeper),
                return_dict=False,
            )[0]
            return _to_pixels(decode_latents(self.pipe, latents))

    def _call(self, settings: Settings, start: Start | None) -> tuple[Any, dict[str, Any]]:
        """Choose the pipeline that carries out the work, and its arguments."""
        width, height = settings.canvas
        size = {"width": width, "height": height}
        # The library multiplies steps by strength and cuts off; the half step keeps that on the right side.
        strength = min((settings.effective_steps + 0.5) / settings.num_inference_steps, 1.0)
        if start is None:
            return self.pipe, size
        if start.shown is not None and start.mask is not None:
            mask = start.mask.repeat_interleave(height // start.mask.shape[-2], -2)
            mask = mask.repeat_interleave(width // start.mask.shape[-1], -1)
            shown = {"image": start.latents, "mask_image": mask, "masked_image_latents": start.shown}
            return self.pipe, size | shown | {"strength": strength}
        if start.mask is not None and settings.effective_steps == settings.num_inference_steps:
            return self.pipe, size  # pure noise: nothing of what the mask gives free shall shine through
        return self._sibling(), {"image": start.latents, "strength": strength}

    def _sibling(self) -> Any:
        """Give the pipeline that starts from a picture, made of the same parts: no weight is there twice."""
        if self._from_picture is None:
            self._from_picture = _sibling(self.pipe)
        return self._from_picture

    def _set_tiling(self, tiled: bool) -> None:
        vae = self.pipe.vae
        if tiled:
            vae.enable_tiling()
        else:
            vae.disable_tiling()


def _sibling(pipe: Any) -> Any:
    import diffusers

    if getattr(pipe, "text_encoder_2", None) is None:
        kind, options = diffusers.StableDiffusionImg2ImgPipeline, {"requires_safety_checker": False}
    else:
        zeros = pipe.config.force_zeros_for_empty_prompt
        kind = diffusers.StableDiffusionXLImg2ImgPipeline
        options = {"force_zeros_for_empty_prompt": zeros, "add_watermarker": False}
    made = kind(**pipe.components, **options)
    made.set_progress_bar_config(disable=True)
    return made


def _after_step(steps: int, on_step: Callable[[int], None], keeper: Keeper | None) -> Callable[..., dict[str, Any]]:
    """Make what diffusers calls after each step: it tells how far the work is and puts kept parts back."""

    def after(pipe: Any, index: int, _timestep: object, tensors: dict[str, Any]) -> dict[str, Any]:
        # A scheduler of second order has more timesteps than steps.
        on_step(min((index + 1) * steps // pipe.num_timesteps, steps))
        if keeper is not None:
            tensors["latents"] = keeper.keep(pipe, index, tensors["latents"])
        return tensors

    return after


def _to_pixels(image: torch.Tensor) -> NDArray[np.uint8]:
    """Round 0..1 floats of shape (3, height, width) to uint8 (height, width, 3), as diffusers does."""
    import torch

    if not bool(torch.isfinite(image).all()):
        remedy = "Set dtype to float32 for this model."
        raise GenerationFailed("The picture is not a number everywhere: the computation overflowed.", remedy=remedy)
    pixels: NDArray[np.uint8] = (
        (image.float() * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().contiguous().numpy()
    )
    return pixels


@contextlib.contextmanager
def engine_errors() -> Iterator[None]:
    """Tell what torch and diffusers raise as errors of this package."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory() from error
    except RuntimeError as error:
        if "memory" in str(error):
            raise _out_of_memory() from error
        raise GenerationFailed(f"The engine failed ({type(error).__name__}).", remedy="See the cause.") from error
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, NotImplementedError) as error:
        raise GenerationFailed(f"The engine failed ({type(error).__name__}).", remedy="See the cause.") from error


def _out_of_memory() -> EngineUnavailable:
    remedy = "Ask for a smaller size, close other programs, or set another device."
    return EngineUnavailable("There is not enough memory for this picture.", remedy=remedy)


def load(
    source: ModelSource, *, device: str | None = None, dtype: str | None = None, threads: int | None = None
) -> tuple[Pipeline, int]:
    """Load a model; answers it and the microseconds that took.

    Args:
        source: its files, checked.
        device: None chooses CUDA, then MPS, then the CPU.
        dtype: None chooses float16 on CUDA, float32 elsewhere (half precision is slower on a CPU).
        threads: how many a computation on the CPU may use, in the whole process; None leaves it to torch.

    Raises:
        EngineUnavailable: a library is missing, the device is not there, or memory is.
        ModelUnavailable: the files are damaged or changed while they were read.
    """
    started = time.perf_counter_ns()
    torch, diffusers, transformers = _libraries()
    target = _device(torch, device)
    chosen = dtype or ("float16" if target.type == "cuda" else "float32")
    if threads is not None:
        torch.set_num_threads(threads)
    digest = source.sha256()
    try:
        with quiet:
            pipe = _read(diffusers, source, getattr(torch, chosen))
            pipe.set_progress_bar_config(disable=True)
            pipe = pipe.to(target)
            # Convolutions over channels-last memory took a tenth less time on the CPU; it decides last bits.
            layout = "contiguous_format" if target.type == "mps" else "channels_last"
            pipe.unet.to(memory_format=getattr(torch, layout))
            pipe.vae.to(memory_format=getattr(torch, layout))
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory() from error
    except Exception as error:  # many libraries read these files, each with its own errors
        problem = f"The files of model {source.name} cannot be loaded ({type(error).__name__})."
        raise ModelUnavailable(problem, remedy="See the cause; copy or download the model again.") from error
    if source.sha256() != digest:
        raise ModelUnavailable(f"The files of model {source.name} changed while they were read.", remedy="Try again.")
    computing = {"threads": str(torch.get_num_threads())} if target.type == "cpu" else {}
    versions = {f"version.{library.__name__}": str(library.__version__) for library in (torch, diffusers, transformers)}
    computing |= {"device": str(target), "dtype": chosen, "memory_format": layout}
    loaded = Pipeline(pipe, computing | versions)
    return loaded, (time.perf_counter_ns() - started) // 1000


def _libraries() -> tuple[Any, Any, Any]:
    # On a machine that others use too, torch's threads spin for each other: a picture of half a second was seen to
    # take twenty, and under two with threads that sleep instead. The runtime reads this when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import diffusers
        import torch
        import transformers
    except ImportError as error:
        remedy = "Run: pip install 'limner[diffusers]'"
        raise EngineUnavailable(f"{error.name or 'a library'} is not installed.", remedy=remedy) from error
    return torch, diffusers, transformers


def _device(torch: Any, wanted: str | None) -> Any:
    if wanted is None:
        if torch.cuda.is_available():
            return torch.device("cuda:0")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        remedy = "Leave device out to have it chosen, or set cpu."
        raise EngineUnavailable(f"device {wanted!r} is not there.", remedy=remedy, retry_safe=False) from error
    return device


def _read(diffusers: Any, source: ModelSource, dtype: Any) -> Any:
    """Read the files; `local_files_only` and `use_safetensors`: no network, no pickles."""
    is_xl = "XL" in source.folder.class_name
    family = "StableDiffusionXL" if is_xl else "StableDiffusion"
    # What the UNet takes decides, not the folder's word: an ordinary model may lie in an inpainting pipeline's folder.
    kind = getattr(diffusers, f"{family}{'Inpaint' if is_inpainting_model(source.folder) else ''}Pipeline")
    options: dict[str, Any] = {"dtype": dtype, "local_files_only": True}
    if is_xl:
        options |= {"add_watermarker": False}  # it would mark pictures without a word where its library is installed
    else:
        # The policy judges pictures; a checker that blackens them silently has no place here.
        options |= {"safety_checker": None, "requires_safety_checker": False}
    if source.checkpoint is not None:
        return kind.from_single_file(str(source.checkpoint), config=str(source.folder.path), **options)
    return kind.from_pretrained(
        str(source.folder.path), use_safetensors=True, variant=source.folder.variant, feature_extractor=None, **options
    )
