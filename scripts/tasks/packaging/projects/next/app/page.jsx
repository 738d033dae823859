'use client';
export { Answer as default } from './answer';
