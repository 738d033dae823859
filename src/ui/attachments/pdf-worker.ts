/** pdf.js's worker, as it comes: it answers read-pdf.ts. */
import 'pdfjs-dist/legacy/build/pdf.worker.mjs';
