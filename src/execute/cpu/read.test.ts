import { describe } from 'vitest';
import { packCases } from '../test/pack-cases';
import { CPU_WAYS } from './test/models';

describe.each(CPU_WAYS)('%s', (_, maker) => packCases(maker));
