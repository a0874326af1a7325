/** Mouse, touch and wheel on a canvas as moves of a camera. */
import type { RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { type Camera, panBy, zoomAt } from './camera.js';

interface Point {
  readonly x: number;
  readonly y: number;
}

export interface PointerPort {
  readonly camera: () => Camera;
  readonly move: (camera: Camera) => void;
  /** A click or tap without a move. */
  readonly press: (at: Point) => void;
  /** A mouse over the canvas; null when it leaves. */
  readonly hover: (at: Point | null) => void;
}

/** Fingers and hands tremble so much. */
const TREMBLE_PX = 5;

/** Drag moves, the wheel and two fingers zoom. */
export function useCameraPointer(canvas: RefObject<HTMLCanvasElement>, port: PointerPort): void {
  const latest = useRef(port);
  latest.current = port;
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const held = new Map<number, Point>();
    let travelled = 0;
    const placeOf = (event: MouseEvent): Point => {
      const box = element.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    const down = (event: PointerEvent) => {
      if (event.button !== 0) return;
      element.setPointerCapture(event.pointerId);
      if (held.size === 0) travelled = 0;
      held.set(event.pointerId, placeOf(event));
    };
    const move = (event: PointerEvent) => {
      const { camera, move, hover } = latest.current;
      const at = placeOf(event);
      const before = held.get(event.pointerId);
      if (!before) {
        if (event.pointerType === 'mouse') hover(at);
        return;
      }
      const other = [...held].find(([id]) => id !== event.pointerId)?.[1];
      held.set(event.pointerId, at);
      travelled += Math.hypot(at.x - before.x, at.y - before.y);
      if (travelled < TREMBLE_PX) return;
      hover(null);
      if (other) {
        const was = Math.hypot(before.x - other.x, before.y - other.y);
        const is = Math.hypot(at.x - other.x, at.y - other.y);
        const [midX, midY] = [(at.x + other.x) / 2, (at.y + other.y) / 2];
        const zoomed = zoomAt(camera(), was > 0 ? is / was : 1, midX, midY);
        move(panBy(zoomed, (at.x - before.x) / 2, (at.y - before.y) / 2));
      } else {
        move(panBy(camera(), at.x - before.x, at.y - before.y));
      }
    };
    const up = (event: PointerEvent) => {
      const isPress = held.delete(event.pointerId) && held.size === 0 && travelled < TREMBLE_PX;
      if (isPress && event.type === 'pointerup') latest.current.press(placeOf(event));
    };
    const leave = () => latest.current.hover(null);
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const { camera, move } = latest.current;
      if (event.shiftKey) {
        move(panBy(camera(), -(event.deltaX || event.deltaY), 0));
        return;
      }
      const { x, y } = placeOf(event);
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      const delta = Math.max(-240, Math.min(240, event.deltaY * lines));
      move(zoomAt(camera(), Math.exp(-delta * (event.ctrlKey ? 0.008 : 0.0022)), x, y));
    };
    element.addEventListener('pointerdown', down);
    element.addEventListener('pointermove', move);
    element.addEventListener('pointerup', up);
    element.addEventListener('pointercancel', up);
    element.addEventListener('pointerleave', leave);
    element.addEventListener('wheel', wheel, { passive: false });
    return () => {
      element.removeEventListener('pointerdown', down);
      element.removeEventListener('pointermove', move);
      element.removeEventListener('pointerup', up);
      element.removeEventListener('pointercancel', up);
      element.removeEventListener('pointerleave', leave);
      element.removeEventListener('wheel', wheel);
    };
  }, [canvas]);
}
