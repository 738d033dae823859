// A conversation's ring for a kernel that only reads it; append.wgsl has it for those that write.
// Defaults: KEY_VECTORS = false; VALUE_VECTORS = false
#if KEY_VECTORS
@group(0) @binding(1) var<storage, read> keys: array<vec4u>;
#else
@group(0) @binding(1) var<storage, read> keys: array<u32>;
#end
#if VALUE_VECTORS
@group(0) @binding(2) var<storage, read> values: array<vec4u>;
#else
@group(0) @binding(2) var<storage, read> values: array<u32>;
#end
