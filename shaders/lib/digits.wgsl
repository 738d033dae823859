// The threshold of top-k and of top-p is found digit by digit over the logits' keys (keys.wgsl): digits of 11, 11 and
// 10 bits, each a stage of its own (0 to 2 of top-k, 3 to 5 of top-p) with a histogram of what has the digits before.
// What a stage found is looked up by every workgroup of the next one, since WGSL orders nothing between workgroups of
// one dispatch; those of the next have it in any case.
//
// kept: [6][BINS] histograms, which sample-max.wgsl clears, [6] of (digits found before, what of the goal is left),
// then at LEAST the key that top-k keeps, at UNIT the parts of top-p's mass, at MASSES the mass of each workgroup.
// Defaults: BINS = 2048; OWN_BINS = 8; SPAN = 16; FOUND = 12288; LEAST = 12300; UNIT = 12301; MASSES = 12304
@group(0) @binding(3) var<storage, read_write> kept: array<atomic<u32>>;

// threads have OWN_BINS neighbouring bins each, SPAN neighbouring threads a section
var<workgroup> own_share: array<u32, $THREADS>;
var<workgroup> section_share: array<u32, 16>;
var<workgroup> next: vec2u;

// The place of the lowest bit of a stage's digit.
fn place_of(stage: u32) -> u32 {
  return select(select(0u, 10u, stage % 3u == 1u), 21u, stage % 3u == 0u);
}

// The digits up to a stage's, and what of the goal is left below them: the largest bin such that it and those above it
// have at least what was left before; the lowest where all have less.
fn next_digit(thread: u32, stage: u32) -> vec2u {
  let known = atomicLoad(&kept[$FOUNDu + 2u * stage]);
  let goal = atomicLoad(&kept[$FOUNDu + 2u * stage + 1u]);
  let first = stage * $BINSu + thread * $OWN_BINSu;
  var own = 0u;
  for (var b = 0u; b < $OWN_BINSu; b++) {
    own += atomicLoad(&kept[first + b]);
  }
  own_share[thread] = own;
  workgroupBarrier();
  if (thread < 16u) {
    var share = 0u;
    for (var t = thread * $SPANu; t < (thread + 1u) * $SPANu; t++) {
      share += own_share[t];
    }
    section_share[thread] = share;
  }
  workgroupBarrier();
  let section = thread / $SPANu;
  var above = 0u;
  for (var s = section + 1u; s < 16u; s++) {
    above += section_share[s];
  }
  for (var t = thread + 1u; t < (section + 1u) * $SPANu; t++) {
    above += own_share[t];
  }
  // one thread has the bin: what is above it and its own part the goal
  if (above < goal && (above + own >= goal || thread == 0u)) {
    var left = goal - above;
    var bin = $OWN_BINSu - 1u;
    while (bin > 0u) {
      let share = atomicLoad(&kept[first + bin]);
      if (share >= left) {
        break;
      }
      left -= share;
      bin -= 1u;
    }
    next = vec2u(known | ((thread * $OWN_BINSu + bin) << place_of(stage)), left);
  }
  return workgroupUniformLoad(&next);
}
