/** A solve under way, as the service tells it: GET /v1/traces/:id, and its events. */
import type { ViewCandidate, ViewSolveReport } from '../../../src/server/view-types.js';
import type { TraceNode } from './view-tree.js';

/** The parts of a trace that are drawn. */
export interface TraceJson {
  readonly id: string;
  readonly status: string;
  readonly strategy: string;
  readonly problem: { readonly question: string; readonly images: readonly string[] };
  readonly tree: { readonly nodes: readonly TraceNode[] };
  readonly usage: Readonly<Record<string, number>> | null;
  readonly elapsedMs: number;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly result: Omit<ViewSolveReport, 'usage' | 'elapsedMs'> | null;
}

/** Keeps the nodes of one trace level with its events. */
export class LiveTrace {
  private readonly nodes = new Map<number, TraceNode>();
  usage: Readonly<Record<string, number>> = {};
  status = 'waiting';

  /** @returns whether something that is drawn has changed */
  take(event: string, data: unknown): boolean {
    switch (event) {
      case 'snapshot': {
        const { tree, usage, status } = data as TraceJson;
        for (const node of tree.nodes) this.nodes.set(node.id, node);
        this.usage = usage ?? {};
        this.status = status;
        return true;
      }
      case 'nodes':
        for (const node of (data as { nodes: readonly TraceNode[] }).nodes) {
          this.nodes.set(node.id, node);
        }
        return true;
      case 'scores': {
        const { scores } = data as {
          scores: readonly (readonly [number, number | null, number | null])[];
        };
        for (const [id, score, outcome] of scores) {
          const node = this.nodes.get(id);
          if (node) this.nodes.set(id, { ...node, score, outcome });
        }
        return true;
      }
      case 'usage':
        this.usage = (data as { usage: Readonly<Record<string, number>> }).usage;
        return true;
      case 'status':
      case 'end':
        this.status = (data as { status: string }).status;
        return true;
      default:
        return false;
    }
  }

  /** Parents first. */
  list(): TraceNode[] {
    return [...this.nodes.values()].sort((a, b) => a.id - b.id);
  }
}

/** A finished trace as the report of a solve. */
export function reportOf(trace: TraceJson): ViewSolveReport | null {
  const { result, usage, elapsedMs } = trace;
  if (!result) return null;
  const candidates = result.candidates.map((candidate): ViewCandidate => {
    return { ...candidate, verdict: candidate.verdict ?? null };
  });
  return { ...result, candidates, usage: usage ?? {}, elapsedMs };
}
