/** How a status is coloured. The text is always shown too: colour alone tells nothing. */

export type Tone = 'good' | 'busy' | 'bad' | 'plain';

const GOOD = /^(Running|Ready|Active|Available|Bound|Approved(,Issued)?|True)$/;
const DONE = /^(Completed|Succeeded|False|Normal|)$/;
const BUSY = /^(Pending|ContainerCreating|PodInitializing|Init:\d+\/\d+|Terminating|Progressing|Waiting|Unknown)$/;

/** By the text of a Status column. */
export function toneOf(status: string): Tone {
  if (GOOD.test(status)) return 'good';
  if (DONE.test(status)) return 'plain';
  if (BUSY.test(status) || /SchedulingDisabled/.test(status)) return 'busy';
  return 'bad';
}
