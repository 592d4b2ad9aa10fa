/** Who restores, and what of owners and groups can be and is wanted to be as it was. */
export interface Owners {
  /** Owners are wanted. */
  readonly wanted: boolean;
  readonly uid: number;
  readonly gid: number;
  /** Groups of whoever restores, to which files may be given. */
  readonly groups: ReadonlySet<number>;
}

/** What is done to something that is restored. */
export interface Given {
  /** -1 leaves it. */
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

interface Owned {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

const setuid = 0o4000;
const setgid = 0o2000;
/** A file that is run with the rights of another than it was made for would be a hole. */
export const rightsBits = setuid | setgid;

/** Whoever runs this. */
export function ownersOf(wanted: boolean): Owners {
  const uid = process.geteuid?.() ?? 0;
  const gid = process.getegid?.() ?? 0;
  return { wanted, uid, gid, groups: new Set([gid, ...(process.getgroups?.() ?? [])]) };
}

export function givenTo(owned: Owned, owners: Owners, isFile: boolean): Given {
  const { mode, uid, gid } = owned;
  if (owners.wanted && owners.uid === 0) return { uid, gid, mode };
  const groupIsGiven = owners.wanted && owners.groups.has(gid);
  const lost = (uid === owners.uid ? 0 : setuid) | (groupIsGiven || gid === owners.gid ? 0 : setgid);
  return { uid: -1, gid: groupIsGiven ? gid : -1, mode: isFile ? mode & ~lost : mode };
}

/** Whether somebody else will own it than before, though owners are wanted. */
export function losesOwner(owned: Owned, owners: Owners): boolean {
  if (!owners.wanted || owners.uid === 0) return false;
  return owned.uid !== owners.uid || !owners.groups.has(owned.gid);
}
