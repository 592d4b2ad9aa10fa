import { failure } from '../kernel/errors/failure.ts';
import { nearest } from '../kernel/nearest.ts';

export function unknownSource(name: string, known: Iterable<string>): Error {
  const names = [...known];
  const near = nearest(name, names);
  const all = names.length === 0 ? 'there are none' : `there are: ${names.join(', ')}`;
  return failure('source_unknown', {
    name,
    suggestion: near === undefined ? all : `did you mean ${near}? ${all}`,
  });
}
