// Curves on a canvas that belongs to the worker.

/** A curve and its form. */
export interface Stroke {
  /** As the `d` of an SVG path. */
  path: string;
  color: string;
  width: number;
  alpha: number;
  dash: number[];
}

/** A picture; in CSS pixels, of which each has `scale` by `scale` of its own. */
export interface Sheet {
  width: number;
  height: number;
  scale: number;
  strokes: Stroke[];
}

/** Draws a picture in place of the one before. */
export function paint(canvas: OffscreenCanvas, { width, height, scale, strokes }: Sheet): void {
  canvas.width = Math.ceil(width * scale);
  canvas.height = Math.ceil(height * scale);
  const context = canvas.getContext('2d');
  if (context === null) return;
  context.scale(scale, scale);
  context.lineCap = 'round';
  for (const stroke of strokes) {
    context.strokeStyle = stroke.color;
    context.lineWidth = stroke.width;
    context.globalAlpha = stroke.alpha;
    context.setLineDash(stroke.dash);
    context.stroke(new Path2D(stroke.path));
  }
}
