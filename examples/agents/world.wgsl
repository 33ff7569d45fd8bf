// The application's own passes. Every agent has a place and a target, and an age within its episode.

@group(0) @binding(0) var<storage, read_write> places: array<vec4<f32>>;       // [N]: place, target
@group(0) @binding(1) var<storage, read_write> lives: array<vec2<u32>>;        // [N]: age, episode
@group(0) @binding(2) var<storage, read_write> observations: array<vec4<f32>>; // [N, 4]
@group(0) @binding(3) var<storage, read_write> actions: array<vec2<f32>>;      // [N, 2]
@group(0) @binding(4) var<storage, read_write> begun: array<u32>;              // [N]: whether an episode has just begun
@group(0) @binding(5) var<storage, read_write> sum: array<atomic<u32>>;        // [1]

fn hash(value: u32) -> u32 {
    let state = value * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

// -1 to 1.
fn unit(word: u32) -> f32 {
    return f32(word >> 8u) / 8388608.0 - 1.0;
}

fn spawn(agent: u32, episode: u32) -> vec4<f32> {
    let a = hash(agent * 7919u + episode);
    let b = hash(a);
    let c = hash(b);
    return vec4<f32>(unit(a), unit(b), unit(c), unit(hash(c)));
}

// Steps of an episode.
fn length(agent: u32, episode: u32) -> u32 {
    return 8u + hash(agent ^ (episode * 104729u)) % 64u;
}

@compute @workgroup_size(64)
fn begin(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&places)) {
        places[id.x] = spawn(id.x, 0u);
    }
}

@compute @workgroup_size(64)
fn observe(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&places)) {
        let place = places[id.x];
        observations[id.x] = vec4<f32>(place.zw - place.xy, place.xy);
    }
}

@compute @workgroup_size(64)
fn advance(@builtin(global_invocation_id) id: vec3<u32>) {
    let agents = arrayLength(&places);
    if (id.x >= agents) {
        return;
    }
    let place = places[id.x];
    places[id.x] = vec4<f32>(place.xy + 0.125 * actions[id.x], place.zw);
    let life = lives[id.x];
    lives[id.x].x = life.x + 1u;
    if (life.x + 1u >= length(id.x, life.y)) {
        lives[id.x] = vec2<u32>(0u, life.y + 1u);
        places[id.x] = spawn(id.x, life.y + 1u);
    }
    begun[id.x] = u32(lives[id.x].x == 0u);
}

@compute @workgroup_size(64)
fn add_up(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&places)) {
        let place = bitcast<vec4<u32>>(places[id.x]);
        atomicAdd(&sum[0], hash(place.x) + hash(place.y + 1u) + hash(lives[id.x].y * 31u + lives[id.x].x));
    }
}
