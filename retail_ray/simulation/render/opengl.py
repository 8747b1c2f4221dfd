"""Drawing with OpenGL, off screen through EGL; Mesa's software driver is enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retail_ray.core.errors import ModelError
from retail_ray.simulation.render.light import TONE_RANGE, TONE_STEPS
from retail_ray.simulation.render.mesh import Material
from retail_ray.simulation.render.people import PosedPerson
from retail_ray.simulation.render.placing import NOBODY, PlacedBody
from retail_ray.simulation.render.raster import NEARER
from retail_ray.simulation.render.renderer import Picture, WholeBody
from retail_ray.simulation.render.stage import Stage
from retail_ray.simulation.store import StoreCamera

_CPU_DRIVERS: Final = ("llvmpipe", "softpipe", "swrast", "software")

_VERTEX_SHADER: Final = """
#version 330
uniform vec2 size_px;
in vec3 screen;
in float light;
in vec2 coords;
out float inverse;
out float bright;
out vec2 cloth;
void main() {
    inverse = screen.z;
    bright = light;
    cloth = coords;
    vec2 place = (screen.xy + 0.5) / size_px * 2.0 - 1.0;
    gl_Position = screen.z > 0.0 ? vec4(place, 1.0 - 0.2 * screen.z, 1.0) : vec4(0.0, 0.0, 0.0, -1.0);
    gl_ClipDistance[0] = screen.z > 0.0 ? 1.0 : -1.0;
}
"""

_FRAGMENT_SHADER: Final = """
#version 330
uniform sampler2D near;
uniform sampler2D tone;
uniform vec3 palette[MATERIALS * 2];
uniform int paint[MATERIALS];
uniform int material;
uniform uint owner;
in float inverse;
in float bright;
in vec2 cloth;
layout(location = 0) out vec4 colour;
layout(location = 1) out uint id;

float second_share(int style, float u, float v) {
    if (style == 0) return 0.0;
    if (style == 1) return fract(v / 0.065) < 0.42 ? 1.0 : 0.0;
    if (style == 2) {
        bool across = fract(u / 0.085) < 0.45, along = fract(v / 0.085) < 0.45;
        return across && along ? 0.85 : (across || along ? 0.4 : 0.0);
    }
    if (style == 3) {
        vec2 d = fract(vec2(u, v) / 0.06) - 0.5;
        return dot(d, d) < 0.06 ? 1.0 : 0.0;
    }
    if (style == 4) {
        if (abs(u) > 0.11 || v < 1.14 || v > 1.3) return 0.0;
        if (v > 1.18) return fract(u / 0.07 + v / 0.05) < 0.62 ? 0.95 : 0.0;
        return fract(u / 0.025) < 0.6 && v > 1.15 ? 0.8 : 0.0;
    }
    if (style == 5) {
        float side = abs(u);
        if (side > 0.22 && side < 0.55 && abs(v - 0.1) < 0.055) return 2.5;
        if (side > 0.18 && side < 0.62 && v > 0.21 && v < 0.29) return 2.2;
        if (side < 0.34 && abs(v + 0.5) < 0.05) return 1.0;
        return side < 0.5 && v > -0.75 && v < -0.3 ? 0.12 : 0.0;
    }
    return fract(u / 0.055) < 0.28 || fract(v / 0.055) < 0.28 ? 0.0 : -1.0;
}

void main() {
    if (inverse * NEARER <= texelFetch(near, ivec2(gl_FragCoord.xy), 0).r) discard;
    float second = second_share(paint[material], cloth.x, cloth.y);
    if (second < 0.0) discard;
    vec3 linear = mix(palette[2 * material], palette[2 * material + 1], second) * bright;
    ivec3 steps = clamp(ivec3(linear * STEPS_PER_UNIT), 0, TONE_STEPS - 1);
    colour = vec4(texelFetch(tone, ivec2(steps.r, 0), 0).r, texelFetch(tone, ivec2(steps.g, 0), 0).r,
                  texelFetch(tone, ivec2(steps.b, 0), 0).r, 1.0);
    id = owner;
}
"""


class GlRenderer:
    """Draws people into a transparent picture against the background's depth, then lays it over the background.

    Belongs to the thread that made it. Raises ModelError where no OpenGL 3.3 context can be created.
    """

    name = "gl"

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._context = _create_context()
        self._size = (stage.width_px, stage.height_px)
        self._program = self._context.program(_VERTEX_SHADER, _with_constants(_FRAGMENT_SHADER))
        self._program["size_px"] = self._size
        self._program["near"], self._program["tone"] = 0, 1
        self._colour = self._context.texture(self._size, 4)
        self._ids = self._context.texture(self._size, 1, dtype="u2")
        self._depth = self._context.depth_renderbuffer(self._size)
        self._target = self._context.framebuffer([self._colour, self._ids], self._depth)
        self._tone = self._context.texture((TONE_STEPS, 1), 1, stage.tone.tobytes())
        self._tone.use(1)
        self._nears: dict[StoreCamera, Any] = {}
        self._buffers: dict[int, _Buffers] = {}
        self.driver = str(self._context.info["GL_RENDERER"])

    def draw(self, camera: StoreCamera, people: Sequence[PosedPerson]) -> Picture:
        bodies = self._stage.place(camera, people)
        image = self._stage.empty_picture(camera, people, bodies)
        ids = np.zeros(image.shape[:2], np.uint16)
        window = _window(bodies, self._size)
        if window is not None:
            self._draw_bodies(camera, bodies)
            self._lay_over(window, image, ids)
        return Picture(image, ids)

    def whole_bodies(self, camera: StoreCamera, people: Sequence[PosedPerson]) -> list[WholeBody | None]:
        return self._stage.whole_bodies(camera, people)

    def _draw_bodies(self, camera: StoreCamera, bodies: Sequence[PlacedBody]) -> None:
        context = self._context
        self._target.use()
        self._target.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        context.enable(context.DEPTH_TEST | context.CULL_FACE)
        context.front_face = "cw"
        self._near(camera).use(0)
        for body in bodies:
            self._buffers_of(body).draw(self._program, body)

    def _near(self, camera: StoreCamera) -> Any:
        if camera not in self._nears:
            near = self._stage.backdrop(camera).near
            self._nears[camera] = self._context.texture(self._size, 1, near.tobytes(), dtype="f4")
        return self._nears[camera]

    def _buffers_of(self, body: PlacedBody) -> _Buffers:
        if id(body.mesh) not in self._buffers:
            self._buffers[id(body.mesh)] = _Buffers(self._context, self._program, body)
        return self._buffers[id(body.mesh)]

    def _lay_over(self, window: tuple[int, int, int, int], image: NDArray[np.uint8], ids: NDArray[np.uint16]) -> None:
        x, y, width, height = window
        colour = self._target.read(window, 4, attachment=0, alignment=1)
        owners = self._target.read(window, 1, attachment=1, alignment=1, dtype="u2")
        _lay_over(
            np.frombuffer(colour, np.uint8).reshape(height, width, 4),
            np.frombuffer(owners, np.uint16).reshape(height, width),
            image[y : y + height, x : x + width],
            ids[y : y + height, x : x + width],
        )


class _Buffers:
    """One mesh on the graphics side: what stays, and what is sent anew for every picture."""

    def __init__(self, context: Any, program: Any, body: PlacedBody) -> None:
        mesh = body.mesh
        self._screen = context.buffer(reserve=body.screen.nbytes)
        self._light = context.buffer(reserve=body.light.nbytes)
        coords = context.buffer(mesh.coords.tobytes())
        owners = np.where(np.arange(len(mesh.triangles)) < mesh.props_from, 1, 0)
        key = mesh.material.astype(np.int64) * 2 + owners
        order = np.argsort(key, kind="stable")
        self._runs = [(int(k) // 2, bool(k % 2), np.flatnonzero(key[order] == k)) for k in np.unique(key)]
        index = context.buffer(mesh.triangles[order].tobytes())
        contents = [(self._screen, "3f", "screen"), (self._light, "1f", "light"), (coords, "2f", "coords")]
        self._array = context.vertex_array(program, contents, index_buffer=index)
        self._palette = mesh.palette.reshape(-1, 3).tobytes()
        self._paint = mesh.paint.astype(np.int32).tobytes()

    def draw(self, program: Any, body: PlacedBody) -> None:
        self._screen.write(body.screen.tobytes())
        self._light.write(body.light.tobytes())
        program["palette"].write(self._palette)
        program["paint"].write(self._paint)
        for material, owned, triangles in self._runs:
            program["material"] = material
            program["owner"] = body.owner if owned else NOBODY
            self._array.render(vertices=3 * len(triangles), first=3 * int(triangles[0]))


def graphics_card() -> str | None:
    """The name of the card that would draw; None where only a CPU would, or nothing can."""
    try:
        context = _create_context()
    except ModelError:
        return None
    driver = str(context.info["GL_RENDERER"])
    context.release()
    return None if any(word in driver.lower() for word in _CPU_DRIVERS) else driver


def _create_context() -> Any:
    try:
        import moderngl

        create_context: Any = moderngl.create_context  # its hints do not know the backend's name

        return create_context(standalone=True, require=330, backend="egl")
    except Exception as error:  # the binding raises bare Exception for every missing library or driver
        raise ModelError(
            f"no OpenGL 3.3 context can be made through EGL ({error}); install Mesa (libegl1, libgl1-mesa-dri) or "
            f"draw with 'software'"
        ) from error


def _with_constants(shader: str) -> str:
    constants = {
        "MATERIALS": len(Material),
        "STEPS_PER_UNIT": TONE_STEPS / TONE_RANGE,
        "TONE_STEPS": TONE_STEPS,
        "NEARER": NEARER,
    }
    for name, value in constants.items():
        shader = shader.replace(name, str(value))
    return shader


def _window(bodies: Sequence[PlacedBody], size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """x, y, width, height of the part of the frame that holds all bodies; None where it is empty."""
    seen = [body.screen[body.screen[:, 2] > 0][:, :2] for body in bodies]
    seen = [points for points in seen if len(points)]
    if not seen:
        return None
    low = np.clip(np.floor(np.min([points.min(axis=0) for points in seen], axis=0)), 0, size).astype(int)
    high = np.clip(np.ceil(np.max([points.max(axis=0) for points in seen], axis=0)) + 1, 0, size).astype(int)
    width, height = (high - low).tolist()
    return (int(low[0]), int(low[1]), width, height) if width > 0 and height > 0 else None


@njit(cache=True, nogil=True)
def _lay_over(
    colour: NDArray[np.uint8], owners: NDArray[np.uint16], image: NDArray[np.uint8], ids: NDArray[np.uint16]
) -> None:
    for row in range(owners.shape[0]):
        for column in range(owners.shape[1]):
            if colour[row, column, 3] > 0:
                ids[row, column] = owners[row, column]
                for channel in range(3):
                    image[row, column, channel] = colour[row, column, channel]
