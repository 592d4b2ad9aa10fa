import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pictureText, terminalPicture } from '../../scripts/terminal-picture.ts';

const said = '\u001b[1mbold\u001b[22m & <plain>\n\n  \u001b[32m✓ green\u001b[39m end\n';

test('a picture of a terminal shows every line with its colours, the same each time', () => {
  const picture = terminalPicture(said, 'a < b');
  assert.equal(picture, terminalPicture(said, 'a < b'));
  assert.match(picture, /<tspan class="b">bold<\/tspan> &amp; &lt;plain&gt;<\/text>/);
  assert.match(picture, />  <tspan class="g">✓ green<\/tspan> end<\/text>/);
  assert.match(picture, /<title>a &lt; b<\/title>/);
  assert.equal(pictureText(picture), 'bold & <plain>\n  ✓ green end');
});
