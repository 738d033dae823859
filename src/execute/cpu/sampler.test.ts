import { describeSampler } from '../test/sampler-cases';
import { CPU } from './test/models';

describeSampler(CPU);
