import { doctor } from '../../app/doctor/doctor.ts';
import { findingLines } from '../finding-lines.ts';
import { commonOptions } from './common.ts';
import type { Handler } from './handler.ts';

export const runDoctor: Handler = (face, _args, options) =>
  face.run(
    (context) => doctor(commonOptions(options), context),
    ({ findings }) => {
      const shown = face.options.quiet ? findings.filter(({ level }) => level !== 'ok') : findings;
      face.product(findingLines(shown));
    },
  );
