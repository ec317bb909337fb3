import assert from 'node:assert/strict';
import { InMemorySpanExporter } from '@opentelemetry/sdk-trace-node';

const exporter = new InMemorySpanExporter();
