import { type Attributes, context, propagation, SpanStatusCode, trace } from '@opentelemetry/api';

/** Spans for whoever starts the process with an OpenTelemetry SDK (`node --import …`); without one
 *  they cost nothing. They hold counts and names, never questions, answers, pictures or keys. */
const tracer = trace.getTracer('steptree');

export async function inSpan<T>(
  name: string,
  attributes: Attributes,
  work: () => Promise<T>,
): Promise<T> {
  return tracer.startActiveSpan(name, { attributes }, async (span) => {
    try {
      return await work();
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Work under the caller's span, where its headers name one (`traceparent`). */
export function underCaller<T>(headers: object, work: () => Promise<T>): Promise<T> {
  return context.with(propagation.extract(context.active(), headers), work);
}
